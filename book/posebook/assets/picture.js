// 2D poses: a picture of one, and a picture whose joints can be moved. "Try it" and the figure of epipolar lines use them.
"use strict";
window.posebook ??= {};
(() => {
  const STEP = 5; // pixels per key press; 1 with Shift
  const GRIP = 0.04; // radius within which a joint can be grabbed, as a share of the picture's side
  const STACKED = 0.03; // joints nearer than this lie on each other
  const EDGE = 0.045; // around the image

  const svg = (tag, attributes = {}, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };

  // A square image, or a square cut from one, with a pose in it and optionally a second pose behind it, thin and grey.
  // A missing joint is null.
  function picture(manifest) {
    const { side, left = 0, top = 0 } = manifest.picture;
    const edge = EDGE * side; // so that a joint on the border is not cut off
    const [x, y, width] = [left - edge, top - edge, side + 2 * edge];
    const [ghost, bones] = [svg("g", { class: "pk-ghost" }), svg("g", { class: "pk-bones" })];
    const border = svg("rect", { class: "pk-image", x, y, width, height: width, rx: 0.03 * side });
    const root = svg("svg", { viewBox: `${x} ${y} ${width} ${width}` }, border, ghost, bones);
    const lines = (pose, color) =>
      Object.entries(manifest.bones).flatMap(([name, pairs]) =>
        pairs
          .filter(([parent, child]) => pose[parent] && pose[child])
          .map(([parent, child]) => {
            const [[x1, y1], [x2, y2]] = [pose[parent], pose[child]];
            return svg("line", { x1, y1, x2, y2, stroke: `var(--pk-${color ?? name})` });
          }),
      );
    return {
      root,
      draw(pose, truth) {
        bones.replaceChildren(...lines(pose));
        ghost.replaceChildren(...(truth ? lines(truth, "truth") : []));
      },
    };
  }

  // A picture whose joints can be dragged, or focused and moved with the arrow keys, and taken away by a double click or
  // the delete key. Calls onMove(joint, [x, y]) and, for a joint taken away or put back, onToggle(joint, null or [x, y]);
  // without onToggle all joints stay.
  function editor(manifest, onMove, onToggle) {
    const drawn = picture(manifest);
    const { side, left = 0, top = 0 } = manifest.picture;
    const sideOf = (joint) => Object.keys(manifest.bones).find((s) => manifest.bones[s].some(([, child]) => child === joint));
    const handles = manifest.joints.map((name, joint) => {
      const dot = svg("circle", { class: "pk-dot", r: 0.014 * side, fill: `var(--pk-${sideOf(joint) ?? "centre"})` });
      const roles = { role: "slider", "aria-roledescription": "joint", "aria-label": name, "aria-orientation": "horizontal" };
      const range = { "aria-valuemin": Math.round(left), "aria-valuemax": Math.round(left + side) };
      return svg("g", { class: "pk-joint", tabindex: 0, ...roles, ...range }, svg("circle", { class: "pk-touch", r: GRIP * side }), dot);
    });
    drawn.root.append(...handles);
    let spots = null; // where the handles are; that of a missing joint stays where it was
    let missing = null;
    let grabbed = null; // {joint, pointer, from, time, offset, moves} while dragging
    let last = null; // what was grabbed last

    const inside = (value, low) => Math.min(Math.max(value, low), low + side);
    const move = (joint, [x, y]) => onMove(joint, [inside(x, left), inside(y, top)]);
    const under = (event) => {
      const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawn.root.getScreenCTM().inverse());
      return [x, y];
    };
    const away = (point, [x, y]) => Math.hypot(point[0] - x, point[1] - y);
    const byDistance = (at) => spots.map((_, joint) => joint).sort((j, k) => away(spots[j], at) - away(spots[k], at));
    // The nearest joint; pressing again in the same place, and not at once, gives the next of those that lie on each other.
    const chosen = (at, time) => {
      const near = byDistance(at);
      const stack = near.filter((joint) => away(spots[joint], spots[near[0]]) < STACKED * side);
      const again = last && away(last.from, at) < STACKED * side && !last.moves && time - last.time > 500;
      return again ? stack[(stack.indexOf(last.joint) + 1) % stack.length] : near[0];
    };

    drawn.root.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || grabbed || !spots || !event.target.closest(".pk-joint")) return;
      const at = under(event);
      const joint = chosen(at, event.timeStamp);
      const offset = [spots[joint][0] - at[0], spots[joint][1] - at[1]];
      grabbed = { joint, pointer: event.pointerId, from: at, time: event.timeStamp, offset };
      last = grabbed;
      const [handle, above] = [handles[joint], handles[joint].parentNode.lastElementChild];
      if (handle !== above) above.after(handle); // on top of the others; a handle moved at each press knows no double click
      drawn.root.setPointerCapture(event.pointerId);
      handles[joint].focus({ preventScroll: true });
      event.preventDefault();
    });
    drawn.root.addEventListener("pointermove", (event) => {
      if (event.pointerId !== grabbed?.pointer) return;
      const at = under(event);
      grabbed.moves ||= away(grabbed.from, at) > 2; // a click is no drag
      if (grabbed.moves) move(grabbed.joint, [at[0] + grabbed.offset[0], at[1] + grabbed.offset[1]]);
    });
    // A finger on a joint must not scroll the page as well; touch-action has no effect on the parts of an SVG.
    drawn.root.addEventListener("touchmove", (event) => grabbed && event.preventDefault(), { passive: false });
    for (const ending of ["pointerup", "pointercancel", "lostpointercapture"]) {
      drawn.root.addEventListener(ending, (event) => {
        const passedOn = ending === "lostpointercapture" && event.target !== drawn.root; // a finger's, from the joint to the picture
        if (event.pointerId === grabbed?.pointer && !passedOn) grabbed = null;
      });
    }
    const toggle = (joint) => onToggle?.(joint, missing[joint] ? spots[joint] : null);
    drawn.root.addEventListener("dblclick", (event) => {
      if (last && away(spots[last.joint], under(event)) < GRIP * side) toggle(last.joint);
    });
    drawn.root.addEventListener("keydown", (event) => {
      if (!spots || event.altKey || event.ctrlKey || event.metaKey) return; // those are the browser's
      const joint = handles.indexOf(event.target);
      const step = event.shiftKey ? 1 : STEP;
      const ways = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
      const way = ways[event.key];
      if (joint < 0 || !(way || (onToggle && ["Delete", "Backspace"].includes(event.key)))) return;
      event.preventDefault();
      if (way) move(joint, [spots[joint][0] + way[0], spots[joint][1] + way[1]]);
      else toggle(joint);
    });

    return {
      root: drawn.root,
      draw(pose, ghost) {
        spots = pose.map((point, joint) => point ?? spots[joint]);
        missing = pose.map((point) => point === null);
        drawn.draw(pose, ghost);
        spots.forEach(([x, y], joint) => {
          handles[joint].classList.toggle("pk-missing", missing[joint]);
          handles[joint].setAttribute("transform", `translate(${x} ${y})`);
          handles[joint].setAttribute("aria-valuenow", Math.round(x));
        });
      },
      describe(joint, text) {
        const [x, y] = spots[joint].map(Math.round);
        handles[joint].setAttribute("aria-valuetext", `${missing[joint] ? "not found" : `x ${x}, y ${y} pixels`}; ${text}`);
      },
    };
  }

  Object.assign(window.posebook, { svg, picture, editor });
})();
