// The page "Try it": a camera that the reader moves, its 2D pose, whose joints can be moved too, the 3D pose lifted from it,
// and how that pose looks from elsewhere.
// tryit-worker.js does the computation, picture.js draws the 2D poses, room.js the lifted one.
"use strict";
(() => {
  const here = document.currentScript.src;
  const { asker, errors, still, picture, editor, element, slider, room, metres, distance, radians } = window.posebook;

  // ---- the page ----
  const capital = (text) => text[0].toUpperCase() + text.slice(1);
  const millimetres = (value) => `${Math.round(1000 * value)} mm`;
  const degrees = (angle) => Math.round((angle * 180) / Math.PI);
  const ABOVE = { height: 5, distance: 1.5 }; // an onlooker's place

  const signed = (value) => (value > 0 ? "+" : "") + metres(value);
  const SLIDERS = [
    { name: "direction", label: "Direction", min: -180, max: 180, step: 5, read: (value) => `${value}°` },
    { name: "height", label: "Height", min: 0.2, max: 4, step: 0.1, read: metres },
    { name: "distance", label: "Distance", min: 1.5, max: 10, step: 0.1, read: metres },
    { name: "error", label: "Told higher by", min: -0.3, max: 0.3, step: 0.05, read: signed, hint: "than the camera really is" },
  ];

  function depthInWords(camera, joint) {
    const nearer = camera[0][2] - camera[joint][2];
    const compared = joint ? `, ${metres(Math.abs(nearer))} ${nearer > 0 ? "nearer" : "farther"} than the pelvis` : "";
    return `${metres(camera[joint][2])} from the camera${compared}`;
  }

  function errorInWords(world, truth) {
    const mean = errors(world, truth).mean;
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

  // ---- a link to a pose: #example=0&camera=40,1.2,4,0&joints=x,y;-;... ----
  function toLink({ example, camera, pixels, moved }) {
    const point = (at) => (at ? at.map((value) => value.toFixed(1)).join(",") : "-");
    const parts = { example, camera: SLIDERS.map(({ name }) => camera[name]).join(",") };
    if (pixels) Object.assign(parts, { joints: pixels.map(point).join(";"), moved: Number(moved) });
    return `#${Object.entries(parts).map((part) => part.join("=")).join("&")}`;
  }

  // What a link says, or null if it says nothing that this page could have written.
  function fromLink(hash, manifest) {
    const parts = Object.fromEntries(hash.slice(1).split("&").map((part) => part.split("=")));
    const number = (text, low, high) => (/^-?\d+(\.\d+)?$/.test(text) && low <= Number(text) && Number(text) <= high ? Number(text) : NaN);
    const example = number(parts.example, 0, manifest.examples.length - 1);
    const values = (parts.camera ?? "").split(",");
    const camera = SLIDERS.map(({ min, max }, k) => number(values[k], min, max));
    let pixels = null;
    if (parts.joints !== undefined) {
      const { side } = manifest.picture; // a joint that nobody touched may lie beside the picture
      const point = (text) => (text === "-" ? null : text.split(",").map((value) => number(value, -side, 2 * side)));
      pixels = parts.joints.split(";").map(point);
      const whole = pixels.every((at) => !at || (at.length === 2 && !at.some(Number.isNaN)));
      if (pixels.length !== manifest.joints.length || !whole || !pixels.some(Boolean)) return null;
    }
    if (!Number.isInteger(example) || values.length !== SLIDERS.length || camera.some(Number.isNaN)) return null;
    return { example, camera: Object.fromEntries(SLIDERS.map(({ name }, k) => [name, camera[k]])), pixels, moved: parts.moved === "1" };
  }

  function build(place, manifest) {
    const fresh = () => ({ example: 0, camera: { ...manifest.start, error: 0 }, pixels: null, moved: false });
    const state = {
      ...fresh(), // pixels: null until a joint is touched; moved: whether one was moved, so that there is no true pose any more
      seen: null, // the 2D pose shown
      joint: null, // the last one touched
      turn: 0, // grows with each new untouched 2D pose
      begun: null, // the answer to it
      next: null, // what to do once that is there
    };
    let hand = 0; // grows when the reader does something, and an animation has to give way
    const failure = element("p", { role: "alert" });
    const refused = element("p", { role: "alert" }, "The link's pose could not be read, so this is the first example.");
    const ask = asker(here, show, (error) => {
      if (failure.isConnected) return; // said already
      failure.textContent = failureInWords(error);
      told.before(failure);
    });
    const change = (joint, point, moved) => changeAll({ [joint]: point }, joint, moved);
    function changeAll(points, joint, moved) {
      if (!state.begun) return; // the pose shown is another camera's
      const pixels = state.seen.map((point, k) => (k in points ? points[k] : point));
      if (!pixels.some(Boolean)) return; // from nothing nothing is lifted
      Object.assign(state, { joint, pixels, seen: pixels, moved });
      edit.draw(pixels, moved ? state.begun.truths[0] : null);
      question();
    }
    const edit = editor(
      manifest,
      (joint, point) => change(joint, point, true),
      (joint, point) => change(joint, point, state.moved),
    );
    const question = () => {
      refused.remove();
      const { example, pixels, joint, moved, turn, camera } = state;
      const azimuth = manifest.examples[example].facing + radians(camera.direction);
      const here = { azimuth, height: camera.height, distance: camera.distance };
      const places = [here, { ...here, azimuth: azimuth + Math.PI / 2 }, { ...ABOVE, azimuth }];
      ask({ example, pixels, joint, moved, turn, places, height_error: camera.error });
    };
    const begin = (next = null) => {
      Object.assign(state, { pixels: null, joint: null, moved: false, turn: state.turn + 1, begun: null, next });
      question();
    };
    const figure = place.querySelector("figure");
    const show3d = room(figure, manifest, figure.querySelector(".pk-still").getAttribute("aria-label"));

    const label = (text, control) => element("label", {}, text, control);
    const menu = element("select", {}, ...manifest.examples.map(({ name }, value) => element("option", { value }, name)));
    const button = (text) => element("button", { type: "button", className: "pk-play" }, text);
    const [again, link] = [button("Put the joints back"), button("Copy a link to this pose")];
    const sliders = SLIDERS.map((range) =>
      slider(range, state.camera[range.name], (value) => {
        hand += 1;
        state.camera[range.name] = value;
        if (range.name === "error") question();
        else begin(); // another camera sees another 2D pose
      }),
    );
    const setCamera = (values) => {
      Object.assign(state.camera, values);
      SLIDERS.forEach(({ name }, k) => sliders[k].set(state.camera[name]));
    };
    const told = element("p", { className: "pk-told" });
    const status = element("p", { className: "pk-status", role: "status" });
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

    function show(answer) {
      const { example, pixels, joint, moved, turn, camera, world, views, truths, focal, eye } = answer;
      failure.remove();
      if (example !== state.example || (pixels === null) !== (state.pixels === null)) return; // asked before the reader went on
      if (pixels && turn !== state.turn) return; // while the camera moves, untouched poses are shown even if late
      const truth = manifest.examples[example].pose;
      if (pixels === null) {
        state.seen = truths[0];
        if (turn === state.turn) state.begun = answer;
        edit.draw(state.seen);
      }
      const before = moved ? state.begun : null; // what joints are compared with once there is no true pose
      show3d({ camera: eye, flat: pixels ?? truths[0], person: world, ghost: before ? before.world : moved ? null : truth });
      others.forEach((other, k) => other.draw(views[k], before ? before.views[k] : moved ? null : truths[k + 1]));
      place.dataset.ghost = moved ? "start" : "truth";
      told.textContent = toldInWords(state.camera, truth[0][2], focal, manifest.trained_on);
      manifest.joints.forEach((_, k) => edit.describe(k, depthInWords(camera, k)));
      const lines = [moved ? "Grey is the pose before you moved a joint." : `The true pose is grey. ${errorInWords(world, truth)}`];
      if (joint !== null) lines.unshift(jointInWords(joint, camera, truth));
      status.textContent = lines.join(" ");
      if (!state.begun) return;
      const { next } = state;
      state.next = null;
      next?.();
    }

    function jointInWords(joint, camera, truth) {
      const parent = manifest.parents[joint];
      const [length, before] = parent < 0 ? [] : [camera, truth].map((pose) => distance(pose[joint], pose[parent]));
      const bone = parent < 0 ? "" : ` The bone from the ${manifest.joints[parent]} is ${metres(length)} long, truly ${metres(before)}.`;
      const guessed = state.seen[joint] ? "" : " (guessed)";
      return `${capital(manifest.joints[joint])}${guessed}: ${depthInWords(camera, joint)}.${bone}`;
    }

    const goTo = (example, camera, next) => {
      hand += 1;
      state.example = menu.value = example;
      setCamera(camera);
      begin(next);
    };
    menu.addEventListener("change", () => goTo(Number(menu.value), {}));
    again.addEventListener("click", () => goTo(state.example, {}));
    link.addEventListener("click", async () => {
      history.replaceState(null, "", toLink(state));
      const copied = await navigator.clipboard?.writeText(location.href).then(() => true, () => false);
      status.textContent = copied ? "The link to this pose is copied." : "The address of this page is now a link to this pose.";
    });
    const isLink = () => location.hash.startsWith("#example="); // others lead to sections of the page
    const follow = () => {
      const said = fromLink(location.hash, manifest);
      const { example, camera, pixels, moved } = said ?? fresh();
      goTo(example, camera, pixels && (() => changeAll({ ...pixels }, null, moved)));
      if (!said) told.before(refused);
    };
    addEventListener("hashchange", () => isLink() && follow());

    // On a phone the lifted pose stays at the top of the window, so that the editor has to come below it.
    function bringToSight(editor) {
      const covered = getComputedStyle(figure).position === "sticky";
      editor.style.scrollMarginTop = covered ? `${figure.offsetHeight}px` : ""; // the theme's bar is in its scroll-padding
      editor.scrollIntoView({ block: covered ? "start" : "center", behavior: still() ? "auto" : "smooth" });
    }

    // ---- what to look for: each does what its sentence says ----
    const jointsCalled = (end) => manifest.joints.flatMap((name, k) => (name.endsWith(end) ? [k] : []));
    const after = (values, next, example = 0) => goTo(example, { ...fresh().camera, ...values }, next);
    const walkRound = () => {
      after({ direction: 0 });
      if (still()) return after({ direction: 90 });
      const start = performance.now();
      const mine = hand;
      const step = (now) => {
        const direction = 5 * Math.round(Math.min((now - start) / 40, 180) / 5);
        if (hand !== mine || state.pixels) return; // the reader has taken over
        if (direction !== state.camera.direction) {
          setCamera({ direction });
          begin();
        }
        if (direction < 180) requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
    };
    const [ankles, [wrist]] = [jointsCalled("ankle"), jointsCalled("left wrist")];
    const shifted = ([x, y], dx, dy) => [x + dx, y + dy].map((value) => Math.min(Math.max(value, 0), manifest.picture.side));
    const tries = {
      "walk-round": walkRound,
      "high-camera": () => after({ height: 4 }),
      "wrong-height": () => after({ error: 0.2 }),
      "ankles-down": () => after({}, () => changeAll(Object.fromEntries(ankles.map((k) => [k, shifted(state.seen[k], 0, 25)])), ankles[0], true)),
      "no-wrist": () => after({}, () => change(wrist, null, false)),
      "far-wrist": () => after({}, () => change(wrist, shifted(state.seen[wrist], 110, -140), true)),
      "arms-out": () => after({}, null, manifest.examples.length - 1),
    };
    document.querySelectorAll("[class*='pk-look-']").forEach((name) => {
      const act = tries[name.className.match(/pk-look-([\w-]+)/)[1]];
      const show = element("button", { type: "button", className: "pk-look" }, ...name.childNodes);
      show.addEventListener("click", () => {
        bringToSight(panels[0]);
        act();
      });
      name.replaceChildren(show);
    });

    const controls = element("div", { className: "pk-controls" }, label("Pose ", menu), again, link);
    const camera = element("div", { className: "pk-camera", role: "group", ariaLabel: "The camera" }, ...sliders);
    const [drawn, pelvis, recorded, front, side] = ["drawn", "pelvis", "recorded", "front", "side"].map((name) => manifest.errors_mm[name].toFixed(1));
    const { height, distance: away } = manifest.trained_on;
    const accuracy =
      `Measured on the synthetic test clips, per joint and relative to the pelvis (mpjpe): ${drawn} mm for cameras drawn at random, ` +
      `${height.join(" to ")} m high and ${away.join(" to ")} m away as in training (the pelvis itself is off by ${pelvis} mm); ${recorded} mm for the three cameras ` +
      `of the clips, whose pictures it was not trained on. From the height and distance at which this page starts: ` +
      `${front} mm from the front, ${side} mm from the side.`;
    place.prepend(panels[0]);
    place.append(status, controls, camera, told, panels[1], panels[2], element("p", { className: "pk-accuracy" }, accuracy));
    if (isLink()) follow();
    else begin();
    place.dataset.ready = "true";
  }

  function failureInWords(error) {
    const hint = location.protocol === "file:" ? " The page has to be served: python -m http.server --directory _build/html" : "";
    return `The lifter could not be loaded (${error.message}).${hint}`;
  }

  const watcher = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        watcher.unobserve(target);
        fetchManifest()
          .then((manifest) => build(target, manifest))
          .catch((error) => target.append(element("p", { role: "alert" }, failureInWords(error))));
      }
    },
    { rootMargin: "300px" },
  );
  document.querySelectorAll(".pk-tryit").forEach((place) => {
    place.querySelector(".pk-without-script").remove();
    watcher.observe(place);
  });
})();
