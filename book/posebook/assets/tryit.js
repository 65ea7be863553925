// The page "Try it": a camera that the reader moves, its 2D pose, whose joints can be moved too, the 3D pose lifted from it,
// and how that pose looks from elsewhere.
// tryit-worker.js does the computation; the 3D panel is a figure of the book, drawn by posebook-figures.js.
"use strict";
(() => {
  const here = document.currentScript.src;
  const STEP = 5; // pixels per key press; 1 with Shift
  const GRIP = 0.04; // radius within which a joint can be grabbed, as a share of the picture's side

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
  // A square image with a pose in it and optionally a second pose behind it, thin and grey. A missing joint is null.
  function picture(manifest) {
    const { side } = manifest.picture;
    const border = svg("rect", { class: "pk-image", width: side, height: side });
    const [ghost, bones] = [svg("g", { class: "pk-ghost" }), svg("g", { class: "pk-bones" })];
    const root = svg("svg", { viewBox: `0 0 ${side} ${side}` }, border, ghost, bones);
    const lines = (pose, color) =>
      Object.entries(manifest.bones).flatMap(([name, pairs]) =>
        pairs
          .filter(([parent, child]) => pose[parent] && pose[child])
          .map(([parent, child]) => {
            const [[x1, y1], [x2, y2]] = [pose[parent], pose[child]];
            return svg("line", { x1, y1, x2, y2, stroke: color ?? manifest.colors[name] });
          }),
      );
    return {
      root,
      draw(pose, truth) {
        bones.replaceChildren(...lines(pose));
        ghost.replaceChildren(...(truth ? lines(truth, manifest.colors.truth) : []));
      },
    };
  }

  // A picture whose joints can be dragged, or focused and moved with the arrow keys, and taken away by a double click or
  // the delete key. Calls onMove(joint, [x, y]) and, for a joint taken away or put back, onToggle(joint, null or [x, y]).
  function editor(manifest, onMove, onToggle) {
    const drawn = picture(manifest);
    const { side } = manifest.picture;
    const sideOf = (joint) => Object.keys(manifest.bones).find((s) => manifest.bones[s].some(([, child]) => child === joint));
    const handles = manifest.joints.map((name, joint) => {
      const dot = svg("circle", { class: "pk-dot", r: 0.014 * side, fill: manifest.colors[sideOf(joint) ?? "centre"] });
      const roles = { role: "slider", "aria-roledescription": "joint", "aria-label": name, "aria-orientation": "horizontal" };
      const range = { "aria-valuemin": 0, "aria-valuemax": side };
      return svg("g", { class: "pk-joint", tabindex: 0, ...roles, ...range }, svg("circle", { class: "pk-touch", r: GRIP * side }), dot);
    });
    drawn.root.append(...handles);
    let spots = null; // where the handles are; that of a missing joint stays where it was
    let missing = null;
    let grabbed = null; // {joint, from, offset, moves} while dragging

    const inside = (value) => Math.min(Math.max(value, 0), side);
    const move = (joint, point) => onMove(joint, point.map(inside));
    const under = (event) => {
      const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawn.root.getScreenCTM().inverse());
      return [x, y];
    };
    const away = (point, [x, y]) => Math.hypot(point[0] - x, point[1] - y);
    const nearest = (at) => spots.reduce((best, point, k) => (away(point, at) < away(spots[best], at) ? k : best), 0);

    drawn.root.addEventListener("pointerdown", (event) => {
      if (!event.target.closest(".pk-joint")) return;
      const at = under(event);
      const joint = nearest(at);
      grabbed = { joint, from: at, offset: [spots[joint][0] - at[0], spots[joint][1] - at[1]] };
      drawn.root.setPointerCapture(event.pointerId);
      handles[joint].focus({ preventScroll: true });
      event.preventDefault();
    });
    drawn.root.addEventListener("pointermove", (event) => {
      if (!grabbed) return;
      const at = under(event);
      grabbed.moves ||= away(grabbed.from, at) > 2; // a click is no drag
      if (grabbed.moves) move(grabbed.joint, [at[0] + grabbed.offset[0], at[1] + grabbed.offset[1]]);
    });
    for (const ending of ["pointerup", "pointercancel"]) drawn.root.addEventListener(ending, () => (grabbed = null));
    const toggle = (joint) => onToggle(joint, missing[joint] ? spots[joint] : null);
    drawn.root.addEventListener("dblclick", (event) => {
      const joint = nearest(under(event));
      if (away(spots[joint], under(event)) < GRIP * side) toggle(joint);
    });
    drawn.root.addEventListener("keydown", (event) => {
      const joint = handles.indexOf(event.target);
      const step = event.shiftKey ? 1 : STEP;
      const ways = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
      const way = ways[event.key];
      if (joint < 0 || !(way || event.key === "Delete" || event.key === "Backspace")) return;
      event.preventDefault();
      if (way) move(joint, [spots[joint][0] + way[0], spots[joint][1] + way[1]]);
      else toggle(joint);
    });

    return {
      root: drawn.root,
      draw(pose) {
        spots = pose.map((point, joint) => point ?? spots[joint]);
        missing = pose.map((point) => point === null);
        drawn.draw(pose);
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
  const millimetres = (value) => `${Math.round(1000 * value)} mm`;
  const distance = (a, b) => Math.hypot(...a.map((value, k) => value - b[k]));
  const radians = (degrees) => (degrees * Math.PI) / 180;
  const degrees = (angle) => Math.round((angle * 180) / Math.PI);
  const ABOVE = { height: 5, distance: 1.5 }; // an onlooker's place

  const signed = (value) => (value > 0 ? "+" : "") + metres(value);
  const SLIDERS = [
    { name: "direction", label: "Direction", min: -180, max: 180, step: 5, read: (value) => `${value}°` },
    { name: "height", label: "Height", min: 0.2, max: 4, step: 0.1, read: metres },
    { name: "distance", label: "Distance", min: 1.5, max: 10, step: 0.1, read: metres },
    { name: "error", label: "Told higher by", min: -0.3, max: 0.3, step: 0.05, read: signed },
  ];

  // A labelled slider that shows its value.
  function slider({ name, label, read, ...range }, value, onInput) {
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
    return element("div", { className: "pk-slider" }, element("label", { htmlFor: input.id }, label), output, input);
  }

  function depthInWords(camera, joint) {
    const nearer = camera[0][2] - camera[joint][2];
    const compared = joint ? `, ${metres(Math.abs(nearer))} ${nearer > 0 ? "nearer" : "farther"} than the pelvis` : "";
    return `${metres(camera[joint][2])} from the camera${compared}`;
  }

  // The mean distance of joints from the true ones relative to the pelvis, and that of the pelvis itself.
  function errorInWords(world, truth) {
    const relative = (pose) => pose.slice(1).map((joint) => joint.map((value, axis) => value - pose[0][axis]));
    const [ours, theirs] = [relative(world), relative(truth)];
    const mean = ours.reduce((sum, joint, k) => sum + distance(joint, theirs[k]), 0) / world.length;
    return `Off by ${millimetres(mean)} per joint relative to the pelvis, and by ${millimetres(distance(world[0], truth[0]))} in where the pelvis is.`;
  }

  async function fetchManifest() {
    const response = await fetch(new URL("tryit/manifest.json", here));
    if (!response.ok) throw new Error(`${response.url}: ${response.status}`);
    return response.json();
  }

  // What the lifter is told of the camera, and whether training drew cameras like it.
  function toldInWords({ height, distance, error }, rootHeight, focal, trained) {
    const tilt = degrees(Math.atan2(height - rootHeight, distance));
    const way = tilt ? `looks ${tilt < 0 ? "up" : "down"} by ${Math.abs(tilt)}°` : "looks straight ahead";
    const within = (value, [low, high]) => low <= value && value <= high;
    const known = within(height, trained.height) && within(distance, trained.distance);
    const warning = known ? "" : " No camera so placed was drawn in training.";
    return `Told to the lifter: the camera is ${metres(height + error)} above the floor, ${way}, focal length ${Math.round(focal)} pixels.${warning}`;
  }

  function build(place, manifest) {
    const state = {
      example: 0,
      camera: { ...manifest.start, error: 0 },
      pixels: null, // null until a joint is touched
      seen: null, // the 2D pose shown
      joint: null, // the last one touched
      moved: false, // whether a joint was moved, so that there is no true pose any more
    };
    const ask = asker((answer) => (answer.error ? fail(place, new Error(answer.error)) : show(answer)));
    const change = (joint, point, moved) => {
      const pixels = state.seen.with(joint, point);
      if (!pixels.some(Boolean)) return; // from nothing nothing is lifted
      Object.assign(state, { joint, pixels, seen: pixels, moved });
      edit.draw(pixels);
      question();
    };
    const edit = editor(
      manifest,
      (joint, point) => change(joint, point, true),
      (joint, point) => change(joint, point, state.moved),
    );
    const question = () => {
      const { example, pixels, joint, moved, camera } = state;
      const azimuth = manifest.examples[example].facing + radians(camera.direction);
      const here = { azimuth, height: camera.height, distance: camera.distance };
      const places = [here, { ...here, azimuth: azimuth + Math.PI / 2 }, { ...ABOVE, azimuth }];
      ask({ example, pixels, joint, moved, places, height_error: camera.error });
    };
    const begin = () => {
      Object.assign(state, { pixels: null, joint: null, moved: false });
      question();
    };
    const show3d = poseFigure(place.querySelector("figure"), manifest);

    const label = (text, control) => element("label", {}, text, control);
    const menu = element("select", {}, ...manifest.examples.map(({ name }, value) => element("option", { value }, name)));
    const again = element("button", { type: "button", className: "pk-play" }, "Put the joints back");
    const sliders = SLIDERS.map((range) =>
      slider(range, state.camera[range.name], (value) => {
        state.camera[range.name] = value;
        if (range.name === "error") question();
        else begin(); // another camera sees another 2D pose
      }),
    );
    const [told, status] = ["pk-told", "pk-status"].map((className) => element("p", { className }));
    const captions = ["The camera: drag the joints", "The lifted pose from a quarter turn round", "The lifted pose from above"];
    const others = [picture(manifest), picture(manifest)];
    others.forEach(({ root }, k) => {
      root.setAttribute("role", "img");
      root.setAttribute("aria-label", `${captions[k + 1]}.`);
    });
    edit.root.setAttribute("role", "group");
    edit.root.setAttribute("aria-label", "The 2D pose that the camera sees. Arrow keys move its joints, the delete key takes one away.");
    const panels = [edit, ...others].map(({ root }, k) =>
      element("figure", { className: "pk-picture" }, root, element("figcaption", {}, captions[k])),
    );
    panels[0].classList.add("pk-editor");

    function show({ example, pixels, joint, moved, camera, world, views, truths, focal }) {
      if (example !== state.example || (pixels === null) !== (state.pixels === null)) return; // asked before the reader went on
      const truth = manifest.examples[example].pose;
      if (pixels === null) {
        state.seen = truths[0];
        edit.draw(state.seen);
      }
      show3d(world, moved ? null : truth);
      others.forEach((other, k) => other.draw(views[k], moved ? null : truths[k + 1]));
      told.textContent = toldInWords(state.camera, truth[0][2], focal, manifest.trained_on);
      manifest.joints.forEach((_, k) => edit.describe(k, depthInWords(camera, k)));
      const lines = [moved ? "" : `The true pose is grey. ${errorInWords(world, truth)}`];
      if (joint !== null) lines.push(jointInWords(joint, camera, truth));
      status.textContent = lines.filter(Boolean).join(" ");
    }

    function jointInWords(joint, camera, truth) {
      const parent = manifest.parents[joint];
      const [length, before] = parent < 0 ? [] : [camera, truth].map((pose) => distance(pose[joint], pose[parent]));
      const bone = parent < 0 ? "" : ` The bone from the ${manifest.joints[parent]} is ${metres(length)} long, truly ${metres(before)}.`;
      const guessed = state.seen[joint] ? "" : " (guessed)";
      return `${capital(manifest.joints[joint])}${guessed}: ${depthInWords(camera, joint)}.${bone}`;
    }

    menu.addEventListener("change", () => {
      state.example = Number(menu.value);
      begin();
    });
    again.addEventListener("click", begin);
    const controls = element("div", { className: "pk-controls" }, label("Pose ", menu), again);
    const camera = element("div", { className: "pk-camera", role: "group", ariaLabel: "The camera" }, ...sliders);
    const [drawn, pelvis, recorded, front, side] = ["drawn", "pelvis", "recorded", "front", "side"].map((name) => manifest.errors_mm[name].toFixed(1));
    const { height, distance: away } = manifest.trained_on;
    const accuracy =
      `Measured on the synthetic test clips, per joint and relative to the pelvis (mpjpe): ${drawn} mm for cameras drawn at random, ` +
      `${height.join(" to ")} m high and ${away.join(" to ")} m away as in training (the pelvis itself is off by ${pelvis} mm); ${recorded} mm for the three cameras ` +
      `of the clips, whose pictures it was not trained on. From the height and distance at which this page starts: ` +
      `${front} mm from the front, ${side} mm from the side.`;
    place.prepend(controls, camera, told, panels[0]);
    place.append(status, panels[1], panels[2], element("p", { className: "pk-accuracy" }, accuracy));
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
