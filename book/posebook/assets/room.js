// What "Try it" and "Lift yourself" share: their sliders, and the lifted pose in a room with the camera that saw it.
"use strict";
window.posebook ??= {};
(() => {
  const PLANE = 0.42; // where the picture stands: a share of the way to the person
  const metres = (value) => `${value.toFixed(2)} m`;
  const distance = (a, b) => Math.hypot(...a.map((value, k) => value - b[k]));
  const radians = (degrees) => (degrees * Math.PI) / 180;
  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  // A labelled slider that shows its value, and under it a hint if there is one.
  function slider({ name, label, read, hint, ...range }, value, onInput) {
    const input = element("input", { type: "range", id: `pk-camera-${name}`, ...range });
    const output = element("output");
    const set = (number) => {
      input.value = number;
      output.textContent = read(Number(number));
      input.setAttribute("aria-valuetext", output.textContent);
    };
    set(value);
    input.addEventListener("input", () => {
      set(input.value);
      onInput(Number(input.value));
    });
    const made = element("div", { className: "pk-slider" }, element("label", { htmlFor: input.id }, label), output, input);
    if (hint) {
      made.append(element("small", { id: `${input.id}-hint` }, hint));
      input.setAttribute("aria-describedby", `${input.id}-hint`);
    }
    return Object.assign(made, { set });
  }

  // Fills a figure, whose still stands there until the first drawing; what it returns draws a camera, its 2D pose and the
  // person lifted from it. The view keeps to `about`, the person's root unless something steadier is given.
  function room(figure, manifest, label) {
    const { stage, freeView, swingOut, around, still } = window.posebook;
    const view = freeView(0, 0.24, 0);
    const canvas = element("canvas", { className: "pk-stage" });
    const { draw, corners } = stage(canvas, { ...manifest, view, label });
    const begin = () => {
      figure.append(element("div", { className: "pk-room" }, canvas), element("figcaption", {}, "The lifted pose: drag to turn it"));
      figure.classList.add("pk-drawn");
      setTimeout(() => swingOut(view), still() ? 0 : 600);
    };
    return ({ camera: eye, flat, person, ghost, about = person[0] }) => {
      const [x, y, z] = about;
      const back = eye.R[2].map((value) => -value);
      const away = distance(eye.center, about);
      const camera = { ...eye, plane: PLANE * away };
      if (!canvas.isConnected) {
        view.azimuth = Math.atan2(back[1], back[0]) + 0.75;
        begin();
      }
      canvas.shown = { camera, flat, person, ghost }; // for the tests
      const fit = [...around([x - 0.5, y - 0.5], [x + 0.5, y + 0.5], Math.max(1.75, z + 0.85)), ...corners(camera)];
      draw({ camera, flat, person, truth: ghost, ahead: away, middle: about, fit, margins: { side: 10, top: 14, bottom: 10 } });
    };
  }

  Object.assign(window.posebook, { element, slider, room, metres, distance, radians });
})();
