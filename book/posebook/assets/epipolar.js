// The figure of epipolar lines: the reader moves a joint in one picture, and the other shows the line on which it must be.
// picture.js draws the poses. F and its transpose take a point of one picture to its line in the other.
"use strict";
(() => {
  const { svg, editor } = window.posebook;
  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  // A line (l, m, n) as its unit normal and the signed distance of the origin.
  const lineOf = (F, [x, y]) => {
    const [l, m, n] = F.map((row) => row[0] * x + row[1] * y + row[2]);
    return [l, m, n].map((value) => value / Math.hypot(l, m));
  };
  const offLine = ([l, m, n], [x, y]) => l * x + m * y + n;
  const nearest = (line, point) => point.map((value, k) => value - line[k] * offLine(line, point));
  const put = (line, [x1, y1], [x2, y2]) => Object.entries({ x1, y1, x2, y2 }).forEach(([name, value]) => line.setAttribute(name, value));

  function build(figure) {
    const { side, F, ...pair } = JSON.parse(figure.querySelector("script").textContent);
    const maps = [F, F[0].map((_, k) => F.map((row) => row[k]))]; // from each view to the other
    const start = () => pair.views.map(({ pose }) => [...pose]);
    let poses = start();
    const status = element("p", { role: "status" });
    const reset = element("button", { type: "button", className: "pk-play", textContent: "Put the joints back" });

    const views = pair.views.map(({ name, left, top }, view) => {
      const move = (joint, point) => {
        poses[view][joint] = point;
        show(view, joint);
      };
      const { root, draw, describe } = editor({ ...pair, picture: { side, left, top } }, move);
      const [line, gap] = [svg("line", { class: "pk-line", stroke: pair.colors.line }), svg("line", { class: "pk-gap" })];
      root.querySelector(".pk-bones").before(line, gap);
      root.setAttribute("role", "group");
      root.setAttribute("aria-label", `The pose in camera ${name}. Arrow keys move its joints.`);
      root.addEventListener("focusin", ({ target }) => show(view, pair.joints.indexOf(target.getAttribute("aria-label"))));
      return { name, root, draw, describe, line, gap, middle: [left + side / 2, top + side / 2] };
    });

    // The joint as one view has it, and its line in the other.
    function show(from, joint) {
      const [one, other] = [views[from], views[1 - from]];
      const offBy = (view, k) => Math.abs(offLine(lineOf(maps[view], poses[view][k]), poses[1 - view][k])).toFixed(1);
      views.forEach(({ root, draw, describe, line, gap }, view) => {
        draw(poses[view]);
        pair.joints.forEach((_, k) => describe(k, `${offBy(view, k)} pixels between its line and the joint in camera ${views[1 - view].name}`));
        root.querySelectorAll(".pk-joint").forEach((handle) => handle.classList.toggle("pk-chosen", handle.getAttribute("aria-label") === pair.joints[joint]));
        for (const drawn of [line, gap]) drawn.style.display = view === from ? "none" : "";
      });
      const line = lineOf(maps[from], poses[from][joint]);
      const [[x, y], match] = [nearest(line, other.middle), poses[1 - from][joint]];
      put(other.line, [x - side * line[1], y + side * line[0]], [x + side * line[1], y - side * line[0]]);
      put(other.gap, match, nearest(line, match));
      const name = pair.joints[joint];
      status.textContent = `${name[0].toUpperCase()}${name.slice(1)}: camera ${other.name} has it ${offBy(from, joint)} px off the line from camera ${one.name}.`;
    }

    const again = () => {
      poses = start();
      show(0, pair.joint);
    };
    reset.addEventListener("click", again);
    const panels = views.map(({ name, root }) =>
      element("figure", { className: "pk-picture pk-editor" }, root, element("figcaption", {}, `Camera ${name}`)),
    );
    const still = figure.querySelector(".pk-still");
    still.after(element("div", { className: "pk-pair" }, ...panels), element("div", { className: "pk-controls" }, status, reset));
    figure.classList.add("pk-drawn");
    again();
  }

  document.querySelectorAll(".pk-epipolar").forEach(build);
})();
