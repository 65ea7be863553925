// The renderer of the front page and of "Try it": people in a room, on a plain 2D canvas, limbs sorted by depth.
// A drag or the arrow keys turn the view, which never goes below the floor; the wheel and vertical swipes scroll the page.
// World coordinates are metres with z up; a pose is a list of joints [x, y, z], one on a picture a list of [x, y] pixels.
"use strict";
window.posebook ??= {};
(() => {
  const NEAR = 0.05; // metres before the eye; what is nearer is cut off
  const FAR = 7; // distance of the eye once it stands free, metres
  const LOWEST = 0.04; // elevations, radians
  const HIGHEST = 1.45;
  const FLOOR = { half: 3, step: 0.5 };
  const RADII = {
    thorax: [0.085, 0.1], head: [0.045, 0.045], shoulder: [0.05, 0.05], elbow: [0.045, 0.036], wrist: [0.036, 0.026],
    hip: [0.065, 0.07], knee: [0.07, 0.05], ankle: [0.05, 0.034],
  }; // at both ends of the bone to a joint, metres
  const HEAD = 0.105;
  const RIM = 0.016; // by how much the true body is stouter, so that it is seen behind a lifted one

  // ---- vectors and colours ----
  const plus = (a, b) => a.map((value, k) => value + b[k]);
  const minus = (a, b) => a.map((value, k) => value - b[k]);
  const times = (a, scale) => a.map((value) => value * scale);
  const dot = (a, b) => a.reduce((sum, value, k) => sum + value * b[k], 0);
  const mix = (a, b, t) => a.map((value, k) => value + (b[k] - value) * t);
  const between = (low, value, high) => Math.min(Math.max(value, low), high);
  const nearestTurn = (from, to) => from + Math.atan2(Math.sin(to - from), Math.cos(to - from));
  const channels = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
  const css = (rgb) => `rgb(${rgb.map(Math.round).join(" ")})`;
  const [WHITE, BLACK] = [[255, 255, 255], [0, 0, 0]];

  // ---- cameras of the scene: {R: rows x right, y down, z forward; center, focal, middle; plane: where its picture stands} ----
  const onPlane = ({ R, center, focal, middle, plane }, [x, y]) =>
    [(x - middle) / focal, (y - middle) / focal, 1].reduce((sum, value, k) => plus(sum, times(R[k], value * plane)), center);
  const corners = (camera) => [[0, 0], [1, 0], [1, 1], [0, 1]].map((at) => onPlane(camera, times(at, 2 * camera.middle)));

  function eyeOf(camera, ahead) {
    const back = times(camera.R[2], -1);
    const target = plus(camera.center, times(camera.R[2], ahead));
    return { azimuth: Math.atan2(back[1], back[0]), elevation: Math.asin(back[2]), distance: ahead, target };
  }

  // ---- the eye: looks at a target from a distance; `scale` and `shift` place what it sees on the canvas ----
  function projector({ azimuth, elevation, distance, target }) {
    const [ca, sa, ce, se] = [Math.cos(azimuth), Math.sin(azimuth), Math.cos(elevation), Math.sin(elevation)];
    const axes = [[-sa, ca, 0], [se * ca, se * sa, -ce], [ca * ce, sa * ce, se]];
    return (point) => {
      const from = minus(point, target);
      return [dot(from, axes[0]), dot(from, axes[1]), distance - dot(from, axes[2])];
    };
  }

  // Scale and shift with which all points just fit into the canvas.
  function fitted(see, points, { width, height }, margins) {
    const flat = points.map(see).map(([x, y, depth]) => [x / depth, y / depth]);
    const [low, high] = [Math.min, Math.max].map((extreme) => [0, 1].map((axis) => extreme(...flat.map((p) => p[axis]))));
    const room = [width - 2 * margins.side, height - margins.top - margins.bottom].map((left) => Math.max(left, 1));
    const scale = Math.min(...room.map((size, axis) => size / (high[axis] - low[axis])));
    const shift = [margins.side, margins.top].map((edge, axis) => edge + room[axis] / 2 - (scale * (low[axis] + high[axis])) / 2);
    return { scale, shift };
  }

  // `view` is {azimuth, elevation, out}: stages that share one turn together. `out` goes from 0, the camera's own eye, to 1.
  posebook.freeView = (azimuth, elevation, out = 1) => ({ azimuth, elevation, out, listeners: [] });

  posebook.stage = (canvas, { bones, joints, view, label }) => {
    const paint = canvas.getContext("2d");
    const first = { azimuth: view.azimuth, elevation: view.elevation };
    let scene = null;
    let look = null;
    let size = null;
    let put = null; // world point -> [x, y, depth, pixels per metre]

    // ---- where everything goes ----
    function aim() {
      const points = scene.fit;
      const spread = [0, 1, 2].map((axis) => points.map((p) => p[axis]));
      const middle = spread.map((values) => (Math.min(...values) + Math.max(...values)) / 2);
      const free = { azimuth: view.azimuth, elevation: view.elevation, distance: FAR, target: middle };
      let at = fitted(projector(free), points, size, scene.margins);
      let eye = free;
      if (view.out < 1 && scene.camera) {
        const own = eyeOf(scene.camera, scene.ahead);
        const fit = fitted(projector(own), corners(scene.camera), size, { side: 0, top: 0, bottom: 0 });
        const t = view.out;
        eye = {
          azimuth: own.azimuth + (nearestTurn(own.azimuth, free.azimuth) - own.azimuth) * t,
          elevation: own.elevation + (free.elevation - own.elevation) * t,
          distance: own.distance + (free.distance - own.distance) * t,
          target: mix(own.target, free.target, t),
        };
        // sizes at the target go over into each other, not scales, which grow with the distance
        const near = mix([fit.scale / own.distance], [at.scale / free.distance], t)[0];
        at = { scale: near * eye.distance, shift: mix(fit.shift, at.shift, t) };
      }
      const see = projector(eye);
      put = (point) => {
        const [x, y, depth] = see(point);
        const zoom = at.scale / Math.max(depth, NEAR);
        return [at.shift[0] + zoom * x, at.shift[1] + zoom * y, depth, zoom];
      };
      put.line = (a, b) => {
        const [p, q] = [see(a), see(b)];
        if (p[2] < NEAR && q[2] < NEAR) return null;
        const cut = (from, to) => (from[2] >= NEAR ? from : mix(from, to, (NEAR - from[2]) / (to[2] - from[2])));
        return [cut(p, q), cut(q, p)].map(([x, y, d]) => [at.shift[0] + (at.scale * x) / d, at.shift[1] + (at.scale * y) / d]);
      };
      put.tilt = Math.sin(eye.elevation);
    }

    // ---- strokes ----
    function line(a, b, color, width, alpha = 1) {
      const ends = put.line(a, b);
      if (!ends) return;
      Object.assign(paint, { strokeStyle: color, lineWidth: width, globalAlpha: alpha * look.fade });
      paint.beginPath();
      paint.moveTo(...ends[0]);
      paint.lineTo(...ends[1]);
      paint.stroke();
    }

    function face(points, color, alpha) {
      const shown = points.map(put);
      if (shown.some((p) => p[2] < NEAR)) return;
      Object.assign(paint, { fillStyle: color, globalAlpha: alpha });
      paint.beginPath();
      shown.forEach(([x, y]) => paint.lineTo(x, y));
      paint.fill();
    }

    function floor([x0, y0]) {
      const { half, step } = FLOOR;
      const [gx, gy] = [x0, y0].map((value) => Math.round(value / step) * step);
      paint.globalAlpha = 1;
      for (let i = -half; i <= half; i += step) {
        for (let j = -half; j < half; j += step) {
          const away = Math.hypot(i, j + step / 2) / half;
          const alpha = 0.34 * (1 - away);
          if (alpha <= 0.01) continue;
          line([gx + i, gy + j, 0], [gx + i, gy + j + step, 0], look.grid, 1, alpha);
          line([gx + j, gy + i, 0], [gx + j + step, gy + i, 0], look.grid, 1, alpha);
        }
      }
    }

    // ---- people ----
    // Round limbs: a trapezium with a half circle at each end, lit from above left.
    function limb(a, b, radii, color, rim) {
      const [[ax, ay, , az], [bx, by, , bz]] = [a, b];
      const [ra, rb] = [az * radii[0], bz * radii[1]];
      const along = Math.atan2(by - ay, bx - ax);
      const across = along + Math.PI / 2;
      paint.beginPath();
      paint.arc(ax, ay, ra, across, across + Math.PI);
      paint.arc(bx, by, rb, across + Math.PI, across + 2 * Math.PI);
      paint.closePath();
      fill(ax, ay, Math.max(ra, rb), color, rim, across);
    }

    function ball([x, y, , zoom], radius, color, rim) {
      paint.beginPath();
      paint.arc(x, y, zoom * radius, 0, 2 * Math.PI);
      fill(x, y, zoom * radius, color, rim);
    }

    function fill(x, y, radius, color, rim, across = null) {
      if (!rim) {
        paint.fillStyle = css(color);
      } else {
        const lit = across === null || Math.cos(across + 2.2) > 0 ? 1 : -1;
        const [dx, dy] = across === null ? [-0.5, -0.6] : [Math.cos(across) * lit, Math.sin(across) * lit];
        const shade =
          across === null
            ? paint.createRadialGradient(x + 0.5 * dx * radius, y + 0.5 * dy * radius, radius * 0.05, x, y, radius)
            : paint.createLinearGradient(x + dx * radius, y + dy * radius, x - dx * radius, y - dy * radius);
        shade.addColorStop(0, css(mix(color, WHITE, 0.42)));
        shade.addColorStop(0.45, css(color));
        shade.addColorStop(1, css(mix(color, BLACK, 0.3)));
        paint.fillStyle = shade;
        paint.strokeStyle = look.paper;
        paint.lineWidth = 1.5;
        paint.stroke();
      }
      paint.fill();
    }

    const part = (joint) => joints[joint].split(" ").at(-1);

    function body(pose, paintOf, { rim = true, stouter = 0 } = {}) {
      const at = pose.map(put);
      const parts = [];
      for (const [side, pairs] of Object.entries(bones)) {
        for (const [parent, child] of pairs) {
          const radii = (RADII[part(child)] ?? [0.04, 0.04]).map((r) => r + stouter);
          const depth = (at[parent][2] + at[child][2]) / 2;
          const draw = () => limb(at[parent], at[child], radii, paintOf(side, child, parent), rim);
          parts.push({ depth, draw });
        }
      }
      joints.forEach((name, joint) => {
        if (name !== "head") return;
        parts.push({ depth: at[joint][2] - 0.01, draw: () => ball(at[joint], HEAD + stouter, paintOf("centre", joint, joint), rim) });
      });
      parts.sort((a, b) => b.depth - a.depth).forEach(({ draw }) => draw());
    }

    function shadow(pose) {
      const spots = Object.values(bones).flat().flatMap(([parent, child]) => [0, 0.5, 1].map((t) => mix(pose[parent], pose[child], t)));
      for (const [x, y, z] of spots) {
        const [px, py, depth, zoom] = put([x, y, 0]);
        if (depth < NEAR) continue;
        const height = Math.max(z, 0);
        const wide = zoom * (0.1 + 0.13 * height);
        const high = Math.max(wide * put.tilt, 1);
        paint.globalAlpha = (look.shadow * look.fade) / (1 + 5 * height);
        paint.drawImage(look.blob, px - wide, py - high, 2 * wide, 2 * high);
      }
    }

    // ---- the camera and its picture ----
    function picture({ camera, flat }) {
      const frame = corners(camera);
      face(frame, look.paper, 0.8);
      face(frame, look.camera, 0.06);
      frame.forEach((corner, k) => line(corner, frame[(k + 1) % 4], look.camera, 1.6));
      const shown = flat.map((point) => point && onPlane(camera, point));
      const thick = between(1.6, put(shown.find(Boolean))[3] * 0.012, 5);
      for (const [side, pairs] of Object.entries(bones)) {
        for (const [parent, child] of pairs) {
          if (shown[parent] && shown[child]) line(shown[parent], shown[child], css(look.sides[side]), thick);
        }
      }
    }

    function device({ camera }) {
      const [right, down, forward] = camera.R;
      const at = (x, y, z) => [[right, x], [down, y], [forward, z]].reduce((sum, [axis, value]) => plus(sum, times(axis, value)), camera.center);
      corners(camera).forEach((corner) => line(camera.center, corner, look.camera, 1, 0.55 * between(0, 2 * view.out, 1)));
      const [w, h] = [0.09, 0.07];
      const ends = [-0.2, -0.02].map((z) => [[-w, -h], [w, -h], [w, h], [-w, h]].map(([x, y]) => at(x, y, z)));
      const sides = [0, 1, 2, 3].map((k) => [ends[0][k], ends[0][(k + 1) % 4], ends[1][(k + 1) % 4], ends[1][k]]);
      const faces = [...sides, ...ends].map((points, k) => ({ points, k, depth: Math.max(...points.map((p) => put(p)[2])) }));
      faces.sort((a, b) => b.depth - a.depth).forEach(({ points, k }) => face(points, css(mix(look.cameraRgb, BLACK, 0.1 + 0.1 * (k % 4))), 1));
    }

    function rays({ camera, flat, person }) {
      flat.forEach((point, joint) => {
        if (point) line(onPlane(camera, point), person[joint], look.camera, 1, 0.38);
      });
    }

    const LINE = 18; // of text, pixels
    function write({ at, text, color, align = "center" }, written) {
      const [x, y, depth] = put(at);
      if (depth < NEAR) return;
      const small = size.width < 480;
      Object.assign(paint, { font: `600 ${small ? 12 : 14}px system-ui, sans-serif`, textAlign: align, textBaseline: "bottom" });
      const half = paint.measureText(text).width / 2;
      const where = [between(half + 4, x, size.width - half - 4), Math.max(y, LINE)];
      for (const other of written) {
        const apart = [Math.abs(where[0] - other.x) - half - other.half, Math.abs(where[1] - other.y) - LINE];
        if (Math.max(...apart) < 0) where[1] = other.y > 2 * LINE ? other.y - LINE : other.y + LINE;
      }
      written.push({ x: where[0], y: where[1], half });
      Object.assign(paint, { globalAlpha: look.fade * between(0, 2 * view.out - 1, 1), lineWidth: 4, strokeStyle: look.paper, fillStyle: color });
      paint.strokeText(text, ...where);
      paint.fillText(text, ...where);
    }

    // ---- all of it ----
    function draw(next = scene) {
      scene = next;
      if (!scene || !canvas.clientWidth) return;
      resize();
      aim();
      look.fade = 1;
      paint.clearRect(0, 0, size.width, size.height);
      Object.assign(paint, { lineCap: "round", lineJoin: "round" });
      floor(scene.middle);
      look.fade = scene.fade ?? 1;
      const people = () => {
        shadow(scene.truth ?? scene.person);
        paint.globalAlpha = look.fade;
        if (scene.truth) body(scene.truth, () => look.truth, { rim: false, stouter: scene.person ? RIM : 0 });
        paint.globalAlpha = look.fade;
        if (scene.person) body(scene.person, scene.tint ? (side, child) => scene.tint(child, look) : (side) => look.sides[side]);
      };
      if (!scene.camera) return people();
      const nearer = put(onPlane(scene.camera, [scene.camera.middle, scene.camera.middle]))[2] < put((scene.person ?? scene.truth)[0])[2];
      const order = [people, () => scene.person && rays(scene), () => picture(scene)];
      if (!nearer) order.reverse();
      order.forEach((step) => step());
      look.fade = 1;
      device(scene);
      look.fade = scene.fade ?? 1;
      const written = []; // so that a label keeps off those before it
      (scene.labels ?? []).forEach((text) => write({ ...text, color: text.camera ? look.cameraInk : look.ink }, written));
      canvas.dataset.drawn = Number(canvas.dataset.drawn ?? 0) + 1;
    }

    function resize() {
      const ratio = Math.min(devicePixelRatio, 2);
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
        [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
      }
      paint.setTransform(ratio, 0, 0, ratio, 0, 0);
      size = { width, height };
    }

    // The page's colours, read anew when the theme changes.
    function dress() {
      const style = getComputedStyle(document.querySelector(".bd-article-container") ?? document.body);
      const dark = document.documentElement.dataset.theme === "dark";
      const named = (name) => channels(style.getPropertyValue(`--pk-${name}`).trim());
      const camera = named("camera");
      const blob = Object.assign(document.createElement("canvas"), { width: 64, height: 64 });
      const spray = blob.getContext("2d");
      const soft = spray.createRadialGradient(32, 32, 0, 32, 32, 32);
      soft.addColorStop(0, "rgb(0 0 0 / 1)");
      soft.addColorStop(0.5, "rgb(0 0 0 / 0.4)");
      soft.addColorStop(1, "rgb(0 0 0 / 0)");
      spray.fillStyle = soft;
      spray.fillRect(0, 0, 64, 64);
      look = {
        blob,
        fade: 1,
        ink: style.color,
        paper: css(named("paper")),
        grid: css(named("grid")),
        shadow: dark ? 0.5 : 0.3,
        camera: css(camera),
        cameraRgb: camera,
        cameraInk: css(dark ? camera : mix(camera, BLACK, 0.3)),
        truth: named("grey"),
        good: named("good"),
        bad: named("bad"),
        sides: Object.fromEntries(Object.keys(bones).map((side) => [side, named(side)])),
      };
    }

    // ---- turning ----
    const turn = (azimuth, elevation) => {
      view.azimuth += azimuth;
      view.elevation = between(LOWEST, view.elevation + elevation, HIGHEST);
      view.touched = true;
      view.listeners.forEach((listener) => listener());
    };
    let held = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      held = [event.clientX, event.clientY];
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!held) return;
      const [dx, dy] = [event.clientX - held[0], event.clientY - held[1]];
      held = [event.clientX, event.clientY];
      turn(-0.009 * dx, event.pointerType === "touch" ? 0 : 0.006 * dy); // a finger that goes up or down scrolls
    });
    for (const ending of ["pointerup", "pointercancel"]) canvas.addEventListener(ending, () => (held = null));
    canvas.addEventListener("keydown", (event) => {
      const ways = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1] };
      if (event.altKey || event.ctrlKey || event.metaKey || !(ways[event.key] || event.key === "Home")) return;
      event.preventDefault();
      if (event.key === "Home") turn(first.azimuth - view.azimuth, first.elevation - view.elevation);
      else turn(...ways[event.key]);
    });

    dress();
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${label} Turn with the arrow keys, Home for the first view.`);
    view.listeners.push(() => draw());
    new ResizeObserver(() => draw()).observe(canvas);
    new MutationObserver(() => {
      dress();
      draw();
    }).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return { draw, corners };
  };

  posebook.still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  // Swings the view out of the camera's own eye; at once where motion is not wanted.
  posebook.swingOut = (view, milliseconds = 2200) => {
    const tell = () => view.listeners.forEach((listener) => listener());
    if (posebook.still()) {
      view.out = 1;
      return tell();
    }
    const start = performance.now();
    const step = (now) => {
      const t = between(0, (now - start) / milliseconds, 1);
      view.out = t * t * (3 - 2 * t);
      tell();
      if (t < 1) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  };

  // Corners of the box around a person or the place where they move, and of a camera with its picture.
  posebook.around = ([x0, y0], [x1, y1], high, camera) => {
    const box = [x0, x1].flatMap((x) => [y0, y1].flatMap((y) => [[x, y, 0], [x, y, high]]));
    return camera ? [...box, ...corners(camera), plus(camera.center, times(camera.R[2], -0.25))] : box;
  };

  // The mean distance of joints from the true ones relative to the pelvis (mpjpe), and that of each joint; metres.
  posebook.errors = (pose, truth) => {
    const each = pose.map((joint, k) => Math.hypot(...joint.map((v, axis) => v - pose[0][axis] - truth[k][axis] + truth[0][axis])));
    return { each, mean: each.reduce((sum, value) => sum + value, 0) / each.length };
  };
  posebook.mixPoses = (a, b, t) => a.map((joint, k) => mix(joint, b[k], t));

  // Asks the worker, which the first question starts, and the first one after a failure starts anew. While it is busy, only
  // the latest question is kept.
  posebook.asker = (here, onAnswer, onFailure) => {
    let worker = null;
    let busy = false;
    let waiting = null;
    const post = (question) => {
      [busy, waiting] = [true, null];
      worker.postMessage(question);
    };
    const fail = (message) => {
      worker?.terminate();
      [worker, busy, waiting] = [null, false, null];
      onFailure(new Error(message));
    };
    return (question) => {
      if (!worker) {
        worker = new Worker(new URL("tryit-worker.js", here));
        worker.onerror = (event) => fail(event.message || "its script did not load");
        worker.onmessage = ({ data }) => {
          if (data.error) return fail(data.error);
          busy = false;
          if (waiting) post(waiting);
          onAnswer(data);
        };
      }
      if (busy) waiting = question;
      else post(question);
    };
  };
})();
