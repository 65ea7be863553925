// The front page: a walk that the reader's browser lifts frame by frame, and three networks side by side on the same walk.
// Both are drawn by stage.js; tryit-worker.js has the network.
"use strict";
(() => {
  const here = document.currentScript.src;
  const { stage, freeView, swingOut, asker, errors, mixPoses, still, around } = window.posebook;
  const SWAY = { by: 0.3, seconds: 14 };
  const FADE = 0.35; // seconds at both ends of the walk, since it does not close
  const WORST = 0.1; // metres; a joint off by that much has the last colour of the scale
  const HIGH = 1.85;
  const PLANE = 0.42; // where the picture stands: a share of the way to the person

  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };
  const millimetres = (value) => `${Math.round(1000 * value)} mm`;

  // ---- time: one clock for the whole page, which stands while nothing of it is in sight ----
  function clock(frames, seconds, tell) {
    const length = (frames - 1) * seconds;
    const shown = new Set();
    let playing = !still();
    let now = still() ? 0.35 * length : FADE;
    let before = null;
    const state = (passed = 0) => {
      const at = now / seconds;
      const frame = Math.min(Math.floor(at), frames - 2);
      const fade = still() ? 1 : Math.min(1, now / FADE, (length - now) / FADE);
      return { frame, part: at - frame, fade: Math.max(fade, 0.02), passed };
    };
    const tick = (time) => {
      if (!playing || !shown.size) return (before = null);
      const passed = before === null ? 0 : Math.min(time - before, 100) / 1000; // seconds
      now = (now + passed) % length;
      before = time;
      tell(state(passed));
      requestAnimationFrame(tick);
    };
    const watcher = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) shown[isIntersecting ? "add" : "delete"](target);
      if (before === null) requestAnimationFrame(tick);
    });
    return {
      state,
      watch: (place) => watcher.observe(place),
      toggle() {
        playing = !playing;
        requestAnimationFrame(tick);
        return playing;
      },
    };
  }

  const at = (poses, { frame, part }) => mixPoses(poses[frame], poses[frame + 1], part);
  function ground(poses) {
    const joints = poses.flat();
    return [Math.min, Math.max].map((extreme) => [0, 1].map((axis) => extreme(...joints.map((joint) => joint[axis]))));
  }

  // ---- the scene at the top ----
  function scene(place, data, time) {
    const { camera, truth } = data;
    const ahead = camera.plane / PLANE;
    const narrow = () => place.clientWidth < 480;
    const view = freeView(Math.atan2(camera.center[1], camera.center[0]) + (narrow() ? 0.55 : 0.85), 0.2, 0);
    const canvas = element("canvas", { className: "pk-stage" });
    const shown = stage(canvas, { ...data, view, label: place.querySelector(".pk-still").getAttribute("aria-label") });
    const [low, high] = ground(truth);
    const error = element("b", {}, "–");
    const how = element("span", { className: "pk-how" }, "");
    let live = true;

    const show = ({ pose, pixels, world, fade }) => {
      const inset = [low.map((v) => v + 0.25), high.map((v) => v - 0.25)];
      shown.draw({
        person: world, truth: pose, camera, flat: pixels, fade, ahead,
        middle: pose[0].map((v, k) => (k < 2 ? (low[k] + high[k]) / 2 : v)),
        fit: around(...inset, HIGH, camera),
        margins: narrow() ? { side: 8, top: 26, bottom: 4 } : { side: 24, top: 30, bottom: 8 },
        labels: [
          { at: aboveFrame(camera), text: narrow() ? "camera: 2D" : "what the camera sees: 2D", camera: true },
          { at: [world[0][0], world[0][1], world.at(-1)[2] + 0.2], text: narrow() ? "network: 3D" : "what the network makes of it: 3D" },
        ],
      });
      error.textContent = millimetres(errors(world, pose).mean);
      place.dataset.ready = "true";
    };
    const aboveFrame = ({ middle }) => {
      const [a, b] = shown.corners(camera);
      return a.map((value, k) => (value + b[k]) / 2 + (k === 2 ? 0.05 : 0));
    };
    const ask = asker(
      here,
      (answer) => {
        if (!place.dataset.live) place.dataset.live = how.textContent = "lifted live in your browser";
        show(answer);
      },
      () => {
        live = false; // no worker here, as in a page opened from a folder
        how.textContent = "lifted when the book was built";
        update();
      },
    );
    const own = (moment) => ({ pose: at(truth, moment), world: at(data.lifted, moment), fade: moment.fade });
    const project = (pose) => pose.map((point) => flatten(camera, point));
    const update = (moment = time.state()) => {
      const now = own(moment);
      if (live && location.protocol !== "file:") ask({ pose: now.pose, camera, fade: now.fade });
      if (!live || location.protocol === "file:" || !place.dataset.live) show({ ...now, pixels: project(now.pose) });
      if (view.touched || view.out < 1) return;
      played += moment.passed;
      const turned = SWAY.by * Math.sin((2 * Math.PI * played) / SWAY.seconds);
      view.azimuth += turned - swayed;
      swayed = turned;
    };
    let [played, swayed] = [0, 0]; // since the view stands free: seconds, radians

    const pause = element("button", { type: "button", className: "pk-play" }, still() ? "Play" : "Pause");
    pause.addEventListener("click", () => (pause.textContent = time.toggle() ? "Pause" : "Play"));
    const off = element("span", { className: "pk-off" }, "off by ", error, " per joint, pelvis on pelvis");
    const under = place.querySelector(".pk-under");
    under.before(element("div", { className: "pk-room" }, canvas));
    under.prepend(off);
    under.append(element("span", { className: "pk-live" }, how, pause));
    place.classList.add("pk-drawn");
    time.watch(canvas);
    update();
    setTimeout(() => swingOut(view), still() ? 0 : 700);
    return update;
  }

  function flatten({ R, center, focal, middle }, point) {
    const from = point.map((value, k) => value - center[k]);
    const [x, y, z] = R.map((row) => row.reduce((sum, value, k) => sum + value * from[k], 0));
    return [x, y].map((value) => (focal * value) / z + middle);
  }

  // ---- the three panels ----
  const tint = (each) => (joint, { good, bad }) => {
    const t = Math.min(each[joint] / WORST, 1);
    return good.map((value, k) => value + (bad[k] - value) * t);
  };

  function compared(place, data, time) {
    const view = freeView(Math.atan2(data.camera.center[1], data.camera.center[0]) + 0.7, 0.14);
    const panels = [...place.querySelectorAll(".pk-panel")].map((panel, k) => {
      const { poses } = data.panels[k];
      const canvas = element("canvas", { className: "pk-stage" });
      const label = panel.querySelector(".pk-still").getAttribute("aria-label");
      const { draw } = stage(canvas, { ...data, view, label });
      const now = element("span", { className: "pk-now" });
      panel.querySelector(".pk-still").after(canvas);
      panel.querySelector("figcaption").append(now);
      panel.classList.add("pk-drawn");
      time.watch(canvas);
      return { draw, poses, now };
    });
    return (moment) => {
      const truth = at(data.truth, moment);
      const [x, y] = truth[0];
      const middle = [x, y, 0];
      for (const { draw, poses, now } of panels) {
        const pose = at(poses, moment);
        const moved = pose.map((joint) => joint.map((value, axis) => value + truth[0][axis] - pose[0][axis]));
        const { each, mean } = errors(pose, truth);
        const fit = around([x - 0.55, y - 0.55], [x + 0.55, y + 0.55], HIGH);
        draw({ person: moved, truth, tint: tint(each), fade: moment.fade, middle, fit, margins: { side: 4, top: 4, bottom: 4 } });
        now.textContent = `now ${millimetres(mean)}`;
      }
      place.dataset.ready = "true";
    };
  }

  const [top] = document.querySelectorAll(".pk-lifting");
  if (!top) return;
  const data = JSON.parse(top.querySelector("script").textContent);
  const parts = [];
  const time = clock(data.truth.length, data.seconds, (moment) => parts.forEach((update) => update(moment)));
  parts.push(scene(top, data, time));
  document.querySelectorAll(".pk-compared").forEach((place) => {
    const update = compared(place, data, time);
    parts.push(update);
    update(time.state());
  });
})();
