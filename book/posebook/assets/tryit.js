// The page "Try it": a 2D pose whose joints the reader moves, the 3D pose lifted from it, and what other cameras would see.
// tryit-worker.js does the computation; the 3D panel is a figure of the book, drawn by posebook-figures.js.
"use strict";
(() => {
  const here = document.currentScript.src;
  const STEP = 5; // pixels per key press; 1 with Shift

  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };
  const svg = (tag, attributes = {}, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };

  // Asks the worker, which the first question starts. While it is busy, only the latest question is kept.
  function asker(onAnswer) {
    let worker = null;
    let busy = false;
    let waiting = null;
    const post = (question) => {
      [busy, waiting] = [true, null];
      worker.postMessage(question);
    };
    const start = () => {
      worker = new Worker(new URL("tryit-worker.js", here));
      worker.onmessage = ({ data }) => {
        busy = false;
        if (waiting) post(waiting);
        onAnswer(data);
      };
    };
    return (question) => {
      if (!worker) start();
      if (busy) waiting = question;
      else post(question);
    };
  }

  // ---- 2D ----
  // A square around the given poses, for an SVG view box.
  function cropped(poses) {
    const [xs, ys] = [0, 1].map((axis) => poses.flat().map((point) => point[axis]));
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const side = 1.3 * Math.max(right - left, bottom - top);
    return { x: (left + right - side) / 2, y: (top + bottom - side) / 2, side };
  }

  // An image with a pose in it and optionally a second pose behind it, thin and grey.
  function picture(manifest) {
    const border = svg("rect", { class: "pk-image" });
    const [ghost, bones] = [svg("g", { class: "pk-ghost" }), svg("g", { class: "pk-bones" })];
    const root = svg("svg", {}, border, ghost, bones);
    const lines = (pose, color) =>
      Object.entries(manifest.bones).flatMap(([side, pairs]) =>
        pairs.map(([parent, child]) => {
          const [[x1, y1], [x2, y2]] = [pose[parent], pose[child]];
          return svg("line", { x1, y1, x2, y2, stroke: color ?? manifest.colors[side] });
        }),
      );
    return {
      root,
      frame([width, height], { x, y, side }) {
        border.setAttribute("width", width);
        border.setAttribute("height", height);
        root.setAttribute("viewBox", `${x} ${y} ${side} ${side}`);
      },
      draw(pose, truth) {
        bones.replaceChildren(...lines(pose));
        ghost.replaceChildren(...(truth ? lines(truth, manifest.colors.truth) : []));
      },
    };
  }

  // A picture whose joints can be dragged, or focused and moved with the arrow keys; calls onMove(joint, [x, y]).
  function editor(manifest, onMove) {
    const drawn = picture(manifest);
    const side = (joint) => Object.keys(manifest.bones).find((s) => manifest.bones[s].some(([, child]) => child === joint));
    const handles = manifest.joints.map((name, joint) => {
      const dot = svg("circle", { class: "pk-dot", fill: manifest.colors[side(joint) ?? "centre"] });
      const roles = { role: "slider", "aria-roledescription": "joint", "aria-label": name, "aria-orientation": "horizontal" };
      return svg("g", { class: "pk-joint", tabindex: 0, ...roles }, svg("circle", { class: "pk-touch" }), dot);
    });
    drawn.root.append(...handles);
    let [pose, crop] = [null, null];
    let grabbed = null; // {joint, offset} while dragging

    const inside = (value, low) => Math.min(Math.max(value, low), low + crop.side);
    const move = (joint, [x, y]) => onMove(joint, [inside(x, crop.x), inside(y, crop.y)]);
    const under = (event) => {
      const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawn.root.getScreenCTM().inverse());
      return [x, y];
    };
    const away = (point, [x, y]) => Math.hypot(point[0] - x, point[1] - y);

    drawn.root.addEventListener("pointerdown", (event) => {
      if (!event.target.closest(".pk-joint")) return;
      const at = under(event);
      const joint = pose.reduce((best, point, k) => (away(point, at) < away(pose[best], at) ? k : best), 0);
      grabbed = { joint, offset: [pose[joint][0] - at[0], pose[joint][1] - at[1]] };
      drawn.root.setPointerCapture(event.pointerId);
      handles[joint].focus({ preventScroll: true });
      event.preventDefault();
    });
    drawn.root.addEventListener("pointermove", (event) => {
      if (!grabbed) return;
      const [x, y] = under(event);
      move(grabbed.joint, [x + grabbed.offset[0], y + grabbed.offset[1]]);
    });
    for (const ending of ["pointerup", "pointercancel"]) drawn.root.addEventListener(ending, () => (grabbed = null));
    drawn.root.addEventListener("keydown", (event) => {
      const joint = handles.indexOf(event.target);
      const step = event.shiftKey ? 1 : STEP;
      const ways = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
      const way = ways[event.key];
      if (joint < 0 || !way) return;
      event.preventDefault();
      move(joint, [pose[joint][0] + way[0], pose[joint][1] + way[1]]);
    });

    return {
      root: drawn.root,
      frame(size, square) {
        crop = square;
        drawn.frame(size, crop);
        for (const handle of handles) {
          const [touch, dot] = handle.children;
          touch.setAttribute("r", 0.045 * crop.side);
          dot.setAttribute("r", 0.016 * crop.side);
          handle.setAttribute("aria-valuemin", Math.round(crop.x));
          handle.setAttribute("aria-valuemax", Math.round(crop.x + crop.side));
        }
      },
      draw(newPose) {
        pose = newPose;
        drawn.draw(pose);
        pose.forEach(([x, y], joint) => {
          handles[joint].setAttribute("transform", `translate(${x} ${y})`);
          handles[joint].setAttribute("aria-valuenow", Math.round(x));
        });
      },
      describe(joint, text) {
        const [x, y] = pose[joint].map(Math.round);
        handles[joint].setAttribute("aria-valuetext", `x ${x}, y ${y} pixels; ${text}`);
      },
    };
  }

  // ---- 3D ----
  // Moves the traces of the book's figure; once the figure is drawn and idle, it shows the latest pose only.
  function poseFigure(figure, manifest) {
    let drawing = false;
    let next = null;
    const centred = (pose) => pose.map(([x, y, z]) => [x - pose[0][0], y - pose[0][1], z]);
    const strokes = (pose, pairs) => pairs.flatMap(([parent, child]) => [pose[parent], pose[child], [null, null, null]]);
    const coordinates = (poses) => {
      const traces = poses.flatMap((pose) => Object.values(manifest.bones).map((pairs) => strokes(centred(pose), pairs)));
      const along = (axis) => traces.map((points) => points.map((point) => point[axis]));
      return { x: along(0), y: along(1), z: along(2) };
    };
    const redraw = async () => {
      if (drawing || !next || !figure.dataset.ready) return;
      const { pose, truth } = next;
      [drawing, next] = [true, null];
      const canvas = figure.querySelector(".pk-canvas");
      const { lifted, truth: grey } = canvas.layout.meta;
      const visible = [...lifted.map(() => true), ...grey.map(() => Boolean(truth))];
      await window.Plotly.restyle(canvas, { ...coordinates([pose, truth ?? pose]), visible }, [...lifted, ...grey]);
      drawing = false;
      redraw();
    };
    figure.addEventListener("pk-drawn", redraw);
    return (pose, truth) => {
      next = { pose, truth };
      redraw();
    };
  }

  // ---- the page ----
  const capital = (text) => text[0].toUpperCase() + text.slice(1);
  const metres = (value) => `${value.toFixed(2)} m`;

  function depthInWords(camera, joint, view) {
    const nearer = camera[0][2] - camera[joint][2];
    const compared = joint ? `, ${metres(Math.abs(nearer))} ${nearer > 0 ? "nearer" : "farther"} than the pelvis` : "";
    return `${metres(camera[joint][2])} from camera ${view}${compared}`;
  }

  async function fetchManifest() {
    const response = await fetch(new URL("tryit/manifest.json", here));
    if (!response.ok) throw new Error(`${response.url}: ${response.status}`);
    return response.json();
  }

  function build(place, manifest) {
    const state = { example: 0, pose: null, joint: null }; // joint: the last one moved, null before that
    const chosen = () => manifest.examples[state.example];
    const ask = asker((answer) => (answer.error ? fail(place, new Error(answer.error)) : show(answer)));
    const edit = editor(manifest, (joint, point) => {
      state.joint = joint;
      state.pose = state.pose.with(joint, point);
      edit.draw(state.pose);
      question();
    });
    const question = () => ask({ example: state.example, pixels: state.pose, joint: state.joint });
    const show3d = poseFigure(place.querySelector("figure"), manifest);

    const label = (text, control) => element("label", {}, text, control);
    const menu = element("select", {}, ...manifest.examples.map(({ name }, value) => element("option", { value }, name)));
    const again = element("button", { type: "button", className: "pk-play" }, "Start again");
    const status = element("p", { className: "pk-status" });
    const captions = [0, 1, 2].map(() => element("figcaption"));
    const others = [picture(manifest), picture(manifest)];
    others.forEach(({ root }) => root.setAttribute("role", "img"));
    edit.root.setAttribute("role", "group");
    const panels = [edit, ...others].map(({ root }, k) => element("figure", { className: "pk-picture" }, root, captions[k]));
    panels[0].classList.add("pk-editor");

    const otherViews = () => manifest.views.map((_, view) => view).filter((view) => view !== chosen().view);

    function begin() {
      const { view, pixels, cameras } = chosen();
      state.joint = null;
      state.pose = pixels[view];
      edit.frame(cameras[view].image_size_px, cropped([pixels[view]]));
      edit.draw(state.pose);
      edit.root.setAttribute("aria-label", `The 2D pose that camera ${manifest.views[view]} sees. Arrow keys move its joints.`);
      captions[0].textContent = `Camera ${manifest.views[view]}: drag the joints`;
      otherViews().forEach((other, k) => {
        const name = manifest.views[other];
        others[k].frame(cameras[other].image_size_px, cropped([pixels[other]]));
        captions[k + 1].textContent = `The lifted pose as camera ${name} would see it`;
        others[k].root.setAttribute("aria-label", `The lifted 3D pose projected into camera ${name}'s image.`);
      });
      question();
    }

    function show({ example, joint, camera, world, views }) {
      if (example !== state.example) return; // asked before the menu changed
      const { pixels, truth_world, view } = manifest.examples[example];
      const untouched = joint === null;
      show3d(world, untouched ? truth_world : null);
      otherViews().forEach((other, k) => others[k].draw(views[other], untouched ? pixels[other] : null));
      manifest.joints.forEach((_, k) => edit.describe(k, depthInWords(camera, k, manifest.views[view])));
      const words = (k) => `${capital(manifest.joints[k])}: ${depthInWords(camera, k, manifest.views[view])}.`;
      status.textContent = untouched ? `Nothing has been moved yet; the true pose is grey. ${words(0)}` : words(joint);
    }

    menu.addEventListener("change", () => {
      state.example = Number(menu.value);
      begin();
    });
    again.addEventListener("click", begin);
    const controls = element("div", { className: "pk-controls" }, label("Pose ", menu), again);
    const error = Math.round(manifest.metrics_mm.mpjpe);
    const accuracy = `On the synthetic test clips this lifter is off by ${error} mm per joint, relative to the pelvis (mpjpe).`;
    place.prepend(controls, panels[0]);
    place.append(panels[1], panels[2], status, element("p", { className: "pk-accuracy" }, accuracy));
    begin();
    place.dataset.ready = "true";
  }

  function fail(place, error) {
    const hint = location.protocol === "file:" ? " The page has to be served: python -m http.server --directory _build/html" : "";
    place.append(element("p", { role: "alert" }, `The lifter could not be loaded (${error.message}).${hint}`));
  }

  const watcher = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        watcher.unobserve(target);
        fetchManifest()
          .then((manifest) => build(target, manifest))
          .catch((error) => fail(target, error));
      }
    },
    { rootMargin: "300px" },
  );
  document.querySelectorAll(".pk-tryit").forEach((place) => {
    place.querySelector(".pk-without-script").remove();
    watcher.observe(place);
  });
})();
