// "Lift yourself": a photo, a video or the camera; MediaPipe Pose finds the 2D joints of the person in it, tryit-worker.js
// lifts them, room.js draws them. All of it runs in the reader's browser; the detector is loaded when it is first needed.
"use strict";
(() => {
  const here = document.currentScript.src;
  const { asker, element, slider, room, metres, distance, radians, still } = window.posebook;
  const SIDE = 640; // pixels, of the square into which a picture is put, whose longer side it fills
  const SEEN = 0.5; // from this visibility on a joint counts as found
  const PATIENCE = 180_000; // milliseconds, for the detector to load; where a file of it is missing, it never says so
  const STEADY = 0.85; // how much of where the view looks is kept from one frame of a video to the next
  const SLIDERS = [
    { name: "view", label: "Field of view", value: 65, min: 25, max: 110, step: 1, read: (value) => `${value}°` },
    { name: "tilt", label: "Looks down by", value: 0, min: -30, max: 60, step: 1, read: (value) => `${value}°` },
    { name: "above", label: "Camera height", value: 1.4, min: 0.2, max: 4, step: 0.05, read: metres },
  ];
  const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11]; // a program that needs it
  const NOBODY =
    "Nobody was found in this picture. The detector looks for one person, large and whole, feet included; try one who fills more of the picture.";
  const PART = "Too little of a person is in sight to lift. All of the body should be in the picture, feet included.";
  const NO_CAMERA = {
    NotAllowedError: "The camera may not be used: you or your browser refused it. The lock beside the page's address lets you change that.",
    NotFoundError: "No camera was found.",
    NotReadableError: "The camera is in use by another program.",
  };

  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

  // An error whose message is meant for the reader.
  class Told extends Error {}

  // ---- the camera: a pinhole over the origin, upright, that looks along x and down by the tilt; the image a square ----
  function cameraOf({ view, tilt, above }) {
    const [sin, cos] = [Math.sin(radians(tilt)), Math.cos(radians(tilt))];
    const R = [[0, -1, 0], [-sin, 0, -cos], [cos, 0, -sin]];
    return { R, center: [0, 0, above], focal: SIDE / 2 / Math.tan(radians(view) / 2), middle: SIDE / 2 };
  }

  // ---- the detector ----
  const script = (src) =>
    new Promise((resolve, reject) => {
      const failed = () => reject(new Error(`${src} did not load`));
      document.head.append(element("script", { src, onload: resolve, onerror: failed }));
    });

  function checkBrowser() {
    const runs = typeof WebAssembly === "object" && WebAssembly.validate(Uint8Array.from(SIMD));
    if (!runs || !document.createElement("canvas").getContext("webgl2")) {
      throw new Told("This browser cannot run the detector: it needs WebAssembly with SIMD, and WebGL 2.");
    }
  }

  async function loadDetector(folder) {
    if (!window.Pose) await script(`${folder}pose.js`);
    const pose = new window.Pose({ locateFile: (name) => folder + name });
    pose.setOptions({ modelComplexity: 1 });
    const late = new Told("The detector did not load. The connection may be slow, or gone; choosing again tries once more.");
    await Promise.race([pose.initialize(), new Promise((_, reject) => setTimeout(reject, PATIENCE, late))]);
    let found = null;
    pose.onResults(({ poseLandmarks }) => (found = poseLandmarks ?? null));
    let last = null;
    return {
      // Forgets the person seen before: it follows one through a video.
      begin: async () => {
        if (!last) return;
        await last.catch(() => {});
        pose.reset();
      },
      find: (image) => (last = pose.send({ image }).then(() => found)),
    };
  }

  // ---- pictures ----
  async function opened(file) {
    const unreadable = new Told(`${file.name} is neither a picture nor a video that this browser can read.`);
    if (file.type.startsWith("video/")) {
      const video = element("video", { src: URL.createObjectURL(file), loop: true, muted: true, playsInline: true });
      await new Promise((resolve, reject) => Object.assign(video, { onloadeddata: resolve, onerror: () => reject(unreadable) }));
      if (!video.videoWidth) throw unreadable;
      await new Promise((resolve) => Object.assign(video, { onseeked: resolve, currentTime: 1e-4 })); // else a first picture at rest is blank
      return video;
    }
    if (!file.type.startsWith("image/")) throw unreadable;
    return createImageBitmap(file).catch(() => {
      throw unreadable;
    });
  }

  async function openedCamera() {
    if (!navigator.mediaDevices) throw new Told("The browser gives its camera only to pages served over https, or from this computer.");
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: SIDE } } }).catch((error) => {
      throw new Told(NO_CAMERA[error.name] ?? `The camera cannot be used (${error.message}).`);
    });
    const video = element("video", { srcObject: stream, muted: true, playsInline: true });
    await video.play().catch((error) => {
      close(video);
      throw new Told(`The camera cannot be used (${error.message}).`);
    });
    return video;
  }

  const play = (video) => video.play().catch(() => {}); // refused only where a pause comes first

  // Ends a video or the camera, whose light then goes out.
  function close(source) {
    if (!(source instanceof HTMLVideoElement)) return;
    source.pause();
    source.srcObject?.getTracks().forEach((track) => track.stop());
    if (source.src) URL.revokeObjectURL(source.src);
  }

  // A picture in the middle of a canvas; returns the place of its upper left corner, and its size.
  function framed(source, canvas) {
    const [w, h] = [source.videoWidth ?? source.width, source.videoHeight ?? source.height];
    const scale = SIDE / Math.max(w, h);
    const [width, height] = [w * scale, h * scale];
    const [left, top] = [(SIDE - width) / 2, (SIDE - height) / 2];
    Object.assign(canvas, { width: Math.round(width), height: Math.round(height) });
    canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
    return { left, top, width, height };
  }

  // ---- the page ----
  function build(place, manifest, { folder, bytes, keypoints, sources }) {
    const state = { source: null, detector: null, landmarks: null, frame: null, about: null, stands: false, asking: false };
    const ankles = manifest.joints.flatMap((name, k) => (name.endsWith("ankle") ? [k] : []));
    const onFloor = mean(manifest.examples.map(({ pose }) => Math.min(...ankles.map((joint) => pose[joint][2])))); // the lower ankle
    const values = Object.fromEntries(SLIDERS.map(({ name, value }) => [name, value]));
    const ask = asker(here, show, (error) => fail(error));
    let turn = 0; // grows when a source is asked for or ended; who waits for something then gives up
    let loading = null; // the detector, promised
    const load = () =>
      (loading ??= loadDetector(folder).catch((error) => {
        loading = null; // so that the next source tries anew
        throw error;
      }));

    const button = (text, onclick) => element("button", { type: "button", className: "pk-play", onclick }, text);
    const input = element("input", { type: "file", accept: "image/*,video/*", hidden: true });
    const open = button("Photo or video", () => input.click());
    const film = button("Use the camera", () => start(openedCamera, "The camera is on. Stand so that all of you is in the picture."));
    const pause = button("Pause", () => (state.source.paused ? play(state.source) : state.source.pause()));
    const stop = button("Stop", () => {
      end();
      say("Stopped. The picture is forgotten, and the camera is off.");
      open.focus(); // a button that is switched off would lose it
    });
    const stand = button("Feet on the floor", () => {
      state.stands = false; // the height of the camera is found anew
      question();
    });
    const status = element("p", { className: "pk-status", role: "status" });
    const told = element("p", { className: "pk-told" });
    const [clean, canvas] = [element("canvas"), element("canvas", { width: SIDE, height: SIDE, role: "img" })];
    const seen = element("figure", { className: "pk-seen" }, element("div", { className: "pk-room" }, canvas), element("figcaption", {}, "The picture, and the joints found in it"));
    const lifted = element("figure", { className: "pk-lifted" });
    const show3d = room(lifted, manifest, "The lifted body in 3D, blue on its left, orange on its right, and the camera that saw it.");
    const sliders = SLIDERS.map(({ value, ...range }) =>
      slider(range, value, (number) => {
        values[range.name] = number;
        state.about = null;
        if (range.name === "above") state.stands = true; // the reader knows better
        question();
      }),
    );
    const [height, range] = [sliders.at(-1), SLIDERS.at(-1)];
    const camera = element("div", { className: "pk-camera", role: "group", ariaLabel: "What the lifter is told of your camera" }, ...sliders);
    place.append(element("div", { className: "pk-controls" }, film, open, input, pause, stop, stand), status, seen, lifted, camera, told);
    toggle();

    // A live region: it is written only where it says something new.
    function say(text) {
      if (status.textContent !== text) status.textContent = text;
    }

    function toggle() {
      const video = state.source instanceof HTMLVideoElement;
      pause.disabled = !video;
      stop.disabled = stand.disabled = !state.source;
      pause.textContent = video && state.source.paused ? "Play" : "Pause";
      place.dataset.on = Boolean(state.source);
    }

    function end() {
      turn += 1;
      close(state.source);
      Object.assign(state, { source: null, landmarks: null, frame: null, about: null });
      unlifted();
      toggle();
    }

    // Opens a source, once the detector is there, and lifts who is in it until another one is opened.
    async function start(opening, welcome) {
      end();
      const mine = turn;
      try {
        checkBrowser();
        if (!state.detector) say(`Loading the detector, ${Math.round(bytes / 1e6)} MB; this happens once.`);
        const source = await opening();
        if (mine !== turn) return close(source);
        state.source = source; // so that Stop can end it, were the detector not to come
        source.srcObject?.getTracks().forEach((track) => {
          track.onended = () => fail(new Told("The camera stopped: it was pulled out, or may no longer be used."), source);
        });
        toggle();
        state.detector = await load();
        if (mine !== turn) return;
        await state.detector.begin();
        if (mine !== turn) return;
        say(welcome);
        state.stands = false;
        if (source instanceof HTMLVideoElement) run(source);
        else await look(source);
      } catch (error) {
        if (mine === turn) fail(error);
      }
    }

    function fail(error, source = state.source) {
      if (source !== state.source) return; // another one is open by now
      state.asking = false;
      if (!(error instanceof Told)) loading = state.detector = null; // one that failed once fails again; the next source has a new one
      end();
      say(error instanceof Told ? error.message : `Something failed (${error.message}). Loading the page again may help.`);
    }

    function run(video) {
      video.onplay = video.onpause = toggle;
      if (!still() || video.srcObject) play(video);
      else look(video).catch((error) => fail(error, video)); // where motion is not wanted, a video waits at its first picture
      const step = async () => {
        if (state.source !== video) return;
        try {
          const fresh = !video.paused && video.readyState >= video.HAVE_CURRENT_DATA;
          if (fresh && !state.asking) await look(video); // the last frame is lifted and drawn before the next one is looked at
        } catch (error) {
          return fail(error, video);
        }
        requestAnimationFrame(step); // which rests while the page is hidden
      };
      requestAnimationFrame(step);
    }

    async function look(source) {
      const frame = framed(source, clean);
      const landmarks = await state.detector.find(clean);
      if (state.source !== source) return;
      Object.assign(state, { landmarks, frame });
      place.dataset.found = landmarks?.length ?? 0;
      question();
    }

    // The joints of the lifter; null for one that the detector lacks or did not find.
    function jointsAmong(landmarks, { left, top, width, height }) {
      return sources.map((from) => {
        const points = from.map((k) => landmarks[k]);
        if (!points.length || points.some(({ visibility }) => visibility < SEEN)) return null;
        return [left + width * mean(points.map(({ x }) => x)), top + height * mean(points.map(({ y }) => y))];
      });
    }

    function question() {
      const { landmarks, frame, stands } = state;
      if (!frame) return;
      const pixels = landmarks && jointsAmong(landmarks, frame);
      paint(pixels);
      if (pixels && pixels.filter(Boolean).length > pixels.length / 2) {
        const feet = stands ? [] : ankles.filter((joint) => pixels[joint]);
        const stand = feet.length ? { joints: feet, height: onFloor, between: [range.min, range.max] } : null;
        state.asking = true;
        return ask({ pixels, camera: cameraOf(values), stand, turn });
      }
      unlifted();
      say(pixels ? PART : NOBODY);
    }

    function unlifted() {
      place.dataset.lifted = false;
      told.textContent = "";
    }

    function show({ pixels, camera, world, stand, turn: asked }) {
      state.asking = false;
      if (asked !== turn || !state.landmarks) return; // asked before it ended
      if (stand) {
        state.stands = true;
        values.above = camera.center[2];
        height.set(values.above);
      }
      state.about = state.about ? world[0].map((value, axis) => STEADY * state.about[axis] + (1 - STEADY) * value) : world[0];
      show3d({ camera, flat: pixels, person: world, about: state.about });
      const guessed = manifest.joints.filter((_, joint) => !pixels[joint]);
      place.dataset.lifted = true;
      say("One person found and lifted.");
      told.textContent =
        `The pelvis is ${metres(distance(world[0], camera.center))} from the camera. ` +
        (guessed.length ? `Guessed, not seen: ${guessed.join(", ")}.` : "");
    }

    // ---- the picture, the bones of the joints that are lifted, and the detector's points as dots ----
    function paint(pixels) {
      const { landmarks, frame: { left, top, width, height } } = state;
      const paper = canvas.getContext("2d");
      const style = getComputedStyle(place);
      const colorOf = (side) => style.getPropertyValue(`--pk-${side in manifest.bones ? side : "centre"}`);
      canvas.shown = { landmarks, pixels }; // for the tests
      canvas.setAttribute("aria-label", `The picture. ${pixels ? `Joints found in it: ${pixels.filter(Boolean).length} of ${pixels.length}.` : "Nobody was found in it."}`);
      paper.clearRect(0, 0, SIDE, SIDE);
      paper.drawImage(clean, left, top, width, height);
      if (!pixels) return;
      const bones = Object.entries(manifest.bones).flatMap(([side, pairs]) => pairs.map(([from, to]) => [side, pixels[from], pixels[to]]));
      const whole = bones.filter(([, from, to]) => from && to);
      const line = (from, to, strokeStyle, lineWidth) => {
        Object.assign(paper, { lineCap: "round", strokeStyle, lineWidth });
        paper.beginPath();
        paper.moveTo(...from);
        paper.lineTo(...to);
        paper.stroke();
      };
      whole.forEach(([, from, to]) => line(from, to, "white", 9));
      whole.forEach(([side, from, to]) => line(from, to, colorOf(side), 5));
      landmarks.forEach(({ x, y, visibility }, k) => {
        const fillStyle = colorOf(keypoints[k].split("_")[0]);
        Object.assign(paper, { fillStyle, strokeStyle: "white", lineWidth: 1.5, globalAlpha: visibility < SEEN ? 0.3 : 1 });
        paper.beginPath();
        paper.arc(left + width * x, top + height * y, 4.5, 0, 2 * Math.PI);
        paper.fill();
        paper.stroke();
      });
      paper.globalAlpha = 1;
    }

    input.addEventListener("change", () => {
      const [file] = input.files;
      input.value = ""; // so that the same file can be chosen again
      if (file) start(() => opened(file), "Looking for a person.");
    });
    // A video waits while nobody can see it, and goes on if it was going.
    let resting = null;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden && state.source?.paused === false) {
        resting = state.source;
        resting.pause();
      } else if (!document.hidden && resting) {
        if (resting === state.source) play(resting);
        resting = null;
      }
    });
    place.dataset.ready = "true";
  }

  document.querySelectorAll(".pk-yourself").forEach((place) => {
    place.querySelector(".pk-without-script").remove();
    const told = JSON.parse(place.querySelector("script").textContent);
    const folder = new URL(`${told.folder}/`, here).href;
    const watcher = new IntersectionObserver(
      async ([{ isIntersecting }]) => {
        if (!isIntersecting) return;
        watcher.disconnect();
        try {
          const response = await fetch(new URL("tryit/manifest.json", here));
          if (!response.ok) throw new Error(`${response.url}: ${response.status}`);
          build(place, await response.json(), { ...told, folder });
        } catch (error) {
          place.append(element("p", { role: "alert" }, `The lifter could not be loaded (${error.message}).`));
        }
      },
      { rootMargin: "300px" },
    );
    watcher.observe(place);
  });
})();
