// Draws each of the book's plotly figures when it comes into view, with the site's own plotly.js and in the page's colours.
// Turning, playing and zooming are done here: plotly's own handlers trap wheel and touch, and lose the view at every frame.
"use strict";
(() => {
  const here = document.currentScript;
  const plotlyUrl = new URL(here.dataset.plotly, here.src).href;
  const DARK = JSON.parse(here.dataset.dark ?? "{}"); // each colour's counterpart on a dark page
  const NARROW = 560; // pixels; below it the panels are laid out by layout.meta.narrow
  const isScene = (key) => /^scene\d*$/.test(key);
  let plotlyLoading = null;

  function loadPlotly() {
    plotlyLoading ??= new Promise((resolve, reject) => {
      window.PlotlyConfig = { MathJaxConfig: "local" }; // leave the page's MathJax alone
      const script = Object.assign(document.createElement("script"), { src: plotlyUrl });
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => reject(new Error(`could not load ${plotlyUrl}`));
      document.head.append(script);
    });
    return plotlyLoading;
  }

  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  async function draw(figure) {
    const spec = JSON.parse(figure.querySelector("script").textContent);
    const { meta } = spec.layout;
    const Plotly = await loadPlotly();
    const scenes = Object.keys(spec.layout).filter(isScene);
    const isChart = Boolean(spec.layout.yaxis?.title);
    if (!isChart) Object.assign(spec.layout, { showlegend: false, margin: { l: 8, r: 8, t: 30, b: 8 } }); // the key is HTML
    const { dress, resting } = window.posebookBodies;
    const moving = spec.motion ? motion(spec.motion) : resting(spec);
    const people = dress(spec);
    recolor(spec);
    const canvas = element("div", { className: "pk-canvas" });
    canvas.classList.toggle("pk-inert", !isChart);
    canvas.classList.toggle("pk-turns", scenes.length > 0);
    figure.querySelector(".pk-still").after(canvas);
    const narrow = arrange(spec.layout, canvas);
    const config = { displaylogo: false, responsive: true, displayModeBar: false, scrollZoom: false };
    const observers = [];
    canvas.addEventListener("webglcontextlost", () => undraw(Plotly, figure, canvas, observers), { capture: true, once: true });
    await Plotly.newPlot(canvas, { data: spec.data, layout: spec.layout, config });
    if (!canvas.isConnected) return; // lost meanwhile
    if (canvas.querySelector(".no-webgl")) { // plotly's message; the still says more
      canvas.remove();
      return done(figure);
    }
    for (const scene of scenes) canvas._fullLayout[scene]._scene.glplot.oncontextloss = null; // plotly would try for ever
    figure.classList.add("pk-drawn");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", meta.alt);
    // Plotly takes touches for drags; a tap still reaches it as a click, which shows a chart's values.
    canvas.addEventListener("touchstart", (event) => event.stopPropagation(), { capture: true, passive: true });
    const view = scenes.length ? turnable(Plotly, canvas, scenes, meta.alt) : null;
    if (meta.narrow) observers.push(place(Plotly, canvas, meta, view, narrow));
    if (spec.motion || meta.roots) canvas.after(controls(Plotly, canvas, moving, people, meta));
    const theme = new MutationObserver(() => repaint(Plotly, canvas, spec));
    theme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    observers.push(theme);
    done(figure);
  }

  function done(figure) {
    figure.style.minHeight = "";
    figure.dataset.ready = "true";
    figure.dispatchEvent(new Event("pk-drawn"));
  }

  // A browser that has drawn too many panels takes the oldest away again: the still stands in until the figure comes near anew.
  function undraw(Plotly, figure, canvas, observers) {
    for (const observer of observers) observer.disconnect();
    figure.querySelector(".pk-controls")?.remove();
    canvas.remove();
    Plotly.purge(canvas);
    figure.classList.remove("pk-drawn");
    delete figure.dataset.ready;
    lost.add(figure);
    watcher.observe(figure);
  }

  // ---- colours ----
  const isDark = () => document.documentElement.dataset.theme === "dark";
  const shown = (color) => (isDark() && DARK[color]) || color;

  function recolor(spec) {
    for (const trace of spec.data) {
      for (const part of [trace, trace.line, trace.marker, trace.textfont]) {
        if (!part) continue;
        for (const key of ["color", "vertexcolor"]) {
          if (!(key in part)) continue;
          const own = (part[`_${key}`] ??= part[key]);
          part[key] = Array.isArray(own) ? own.map(shown) : shown(own);
        }
      }
    }
    const page = document.querySelector(".bd-article-container") ?? document.body;
    spec.layout.font = { ...spec.layout.font, color: getComputedStyle(page).color };
  }

  function repaint(Plotly, canvas, spec) {
    recolor(spec); // plotly draws these very objects
    spec.layout.datarevision = (spec.layout.datarevision ?? 0) + 1;
    return Plotly.redraw(canvas);
  }

  // ---- panels side by side, or one below the other ----
  const isNarrow = (canvas) => canvas.clientWidth < NARROW;

  function placement(meta, narrow) {
    const { eye, ...keys } = narrow ? meta.narrow : meta.wide;
    return { eye, keys: { ...keys, "font.size": narrow ? 11 : 13 } };
  }

  // Before the first drawing, which is then the only one: returns whether the figure is narrow.
  function arrange(layout, canvas) {
    const narrow = isNarrow(canvas);
    if (!layout.meta.narrow) return narrow;
    const { eye, keys } = placement(layout.meta, narrow);
    if (eye) for (const scene of Object.keys(layout).filter(isScene)) keys[`${scene}.camera.eye`] = eye;
    for (const [path, value] of Object.entries(keys)) {
      const steps = path.match(/[^.[\]]+/g); // as in "annotations[0].x"
      const last = steps.pop();
      steps.reduce((part, step) => (part[step] ??= {}), layout)[last] = value;
    }
    return narrow;
  }

  function place(Plotly, canvas, meta, view, was) {
    const observer = new ResizeObserver(() => {
      const narrow = isNarrow(canvas);
      if (narrow === was) return;
      was = narrow;
      const { eye, keys } = placement(meta, narrow);
      Plotly.relayout(canvas, keys);
      if (eye) view?.fit(eye);
    });
    observer.observe(canvas);
    return observer;
  }

  // ---- one viewpoint for all panels, turned by mouse, touch and keys ----
  const LOWEST = 0.02; // radians over the horizontal: never under the floor
  const HIGHEST = 1.5;
  const FARTHEST = 3;

  function turnable(Plotly, canvas, scenes, alt) {
    const { center } = canvas._fullLayout[scenes[0]].camera;
    const spherical = ({ x, y, z }) => ({
      azimuth: Math.atan2(y, x),
      height: Math.atan2(z, Math.hypot(x, y)),
      distance: Math.hypot(x, y, z),
    });
    let start = spherical(canvas._fullLayout[scenes[0]].camera.eye);
    let now = { ...start };
    let waiting = false;
    const apply = () => {
      waiting = false;
      if (!canvas.isConnected) return;
      const flat = now.distance * Math.cos(now.height);
      const eye = {
        x: flat * Math.cos(now.azimuth),
        y: flat * Math.sin(now.azimuth),
        z: now.distance * Math.sin(now.height),
      };
      const cameras = scenes.map((scene) => [`${scene}.camera`, { eye, center: { ...center } }]);
      Plotly.relayout(canvas, Object.fromEntries(cameras)); // written into the layout, so the next frame keeps it
    };
    const look = (to) => {
      now = { ...now, ...to };
      now.height = Math.min(HIGHEST, Math.max(LOWEST, now.height));
      now.distance = Math.min(FARTHEST * start.distance, Math.max(start.distance / FARTHEST, now.distance));
      if (!waiting) requestAnimationFrame(apply);
      waiting = true;
    };
    const turn = (right, up) => look({ azimuth: now.azimuth - right, height: now.height + up });
    const zoom = (factor) => look({ distance: now.distance / factor });
    const fit = (eye) => {
      start = spherical(eye);
      look(start);
    };
    byPointer(canvas, turn, zoom);
    byKeys(canvas, turn, zoom, () => look(start));
    canvas.tabIndex = 0;
    canvas.setAttribute(
      "aria-label",
      `${alt} Turn with the arrow keys, zoom with plus and minus, Home for the first view.`,
    );
    return { fit };
  }

  // One finger or the mouse turns, two fingers or ctrl + wheel zoom. CSS leaves vertical swipes to the page (touch-action).
  function byPointer(canvas, turn, zoom) {
    const PER_PIXEL = 0.008; // radians
    const down = new Map();
    const spread = () => {
      const [a, b] = [...down.values()];
      return Math.hypot(a.x - b.x, a.y - b.y);
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      down.set(event.pointerId, { x: event.clientX, y: event.clientY });
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const was = down.get(event.pointerId);
      if (!was) return;
      const before = down.size === 2 ? spread() : 0;
      const [right, below] = [event.clientX - was.x, event.clientY - was.y];
      down.set(event.pointerId, { x: event.clientX, y: event.clientY });
      if (before) zoom(spread() / before);
      else if (down.size === 1) turn(PER_PIXEL * right, PER_PIXEL * below);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => down.delete(event.pointerId));
    }
    canvas.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey) return;
        event.preventDefault();
        zoom(Math.exp(-event.deltaY / 400));
      },
      { passive: false },
    );
  }

  function byKeys(canvas, turn, zoom, home) {
    const moves = {
      ArrowLeft: () => turn(0.15, 0),
      ArrowRight: () => turn(-0.15, 0),
      ArrowUp: () => turn(0, 0.1),
      ArrowDown: () => turn(0, -0.1),
      "+": () => zoom(1.1),
      "=": () => zoom(1.1),
      "-": () => zoom(1 / 1.1),
      Home: home,
    };
    canvas.addEventListener("keydown", (event) => {
      if (!moves[event.key] || event.altKey || event.ctrlKey || event.metaKey) return; // those are the browser's
      moves[event.key]();
      event.preventDefault();
    });
  }

  // ---- time ----
  const decoded = (text, type) => new type(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);

  // What moves, as posebook.figure.packed has it: `frame(k)` gives each trace's coordinates by axis.
  function motion({ traces, sizes, axes, names, columns, values }) {
    const table = decoded(values, Int16Array);
    const column = decoded(columns, Uint16Array);
    const width = table.length / names.length;
    const frame = (k) => {
      let next = 0;
      return traces.map((_, trace) => {
        const scale = axes[trace].length === 3 ? 1000 : 10; // mm, tenths of a pixel
        const line = () =>
          Float32Array.from({ length: sizes[trace] }, () => {
            const value = table[k * width + column[next++]];
            return value === -32768 ? NaN : value / scale; // a gap
          });
        return Object.fromEntries([...axes[trace]].map((axis) => [axis, line()]));
      });
    };
    return { traces, names, frame };
  }

  // Plays `meta.loop`, [first, last], there and back unless it says that the last frame joins the first.
  function controls(Plotly, canvas, moving, people, meta) {
    const { traces, names, frame } = moving;
    const count = names.length;
    const start = meta.start ?? 0;
    const time = element("output", { textContent: names[start] });
    const longest = Math.max(...names.map((name) => name.length));
    time.style.minWidth = `min(${longest / 2}em, 100%)`; // as its words change, the slider keeps its place
    const slider = element("input", { type: "range", min: 0, max: count - 1, value: start });
    slider.setAttribute("aria-label", meta.steps ?? "time");
    slider.setAttribute("aria-valuetext", names[start]);
    const button = element("button", { type: "button", textContent: "Play", className: "pk-play" });
    const together = element("input", { type: "checkbox" });
    const put = async (k) => {
      const moved = new Map(frame(k).map((coordinates, i) => [traces[i], coordinates]));
      for (const person of people) {
        if (together.checked) person.join(moved);
        person.follow(moved);
      }
      const all = [...moved.values()];
      const along = (axis) => all.map((coordinates) => coordinates[axis]);
      await Plotly.restyle(canvas, { x: along("x"), y: along("y"), z: along("z") }, [...moved.keys()]);
      canvas.dataset.frame = k;
    };
    let drawing = false;
    let asked = null;
    const go = async (k) => {
      slider.value = k;
      time.textContent = names[k];
      slider.setAttribute("aria-valuetext", names[k]);
      asked = k; // a slow machine skips frames instead of queueing them, but draws the last one
      if (drawing) return;
      drawing = true;
      try {
        while (asked !== null) {
          const next = asked;
          asked = null;
          if (canvas.isConnected) await put(next);
        }
      } finally {
        drawing = false;
      }
    };

    let wanted = false; // by the reader or by the page; it plays while it can also be seen
    let visible = false;
    let request = null;
    let direction = 1;
    const [first, last, joins] = meta.loop ?? [0, count - 1, false];
    const step = (k) => {
      if (joins) return k >= last ? first : k + 1;
      if (k >= last) direction = -1;
      if (k <= first) direction = 1;
      return k + direction;
    };
    const most = Math.max(1, (last - first) >> 2); // a machine that is slower still plays slower, and not the same frames again
    let since = null;
    const tick = (now) => {
      since ??= now;
      const steps = Math.floor((now - since) / meta.frame_ms);
      if (steps) {
        let k = Number(slider.value);
        for (let i = 0; i < Math.min(steps, most); i++) k = step(k);
        since += steps * meta.frame_ms;
        go(k);
      }
      request = requestAnimationFrame(tick);
    };
    const update = () => {
      cancelAnimationFrame(request);
      since = null;
      if (wanted && visible) request = requestAnimationFrame(tick);
      button.textContent = wanted ? "Pause" : "Play";
    };
    const want = (play) => {
      wanted = play;
      update();
    };
    button.addEventListener("click", () => want(!wanted));
    slider.addEventListener("input", () => {
      want(false);
      go(Number(slider.value));
    });
    new IntersectionObserver((entries) => {
      visible = entries.at(-1).isIntersecting;
      update();
    }).observe(canvas);
    if (meta.autoplay && !matchMedia("(prefers-reduced-motion: reduce)").matches) want(true);
    together.addEventListener("change", () => go(Number(slider.value)));
    const inTime = count > 1 ? [button, slider, time] : [];
    const inPlace = meta.roots ? [element("label", {}, together, " put the roots together")] : [];
    return element("div", { className: "pk-controls" }, ...inTime, ...inPlace);
  }

  // A figure is drawn when it comes near; one that is near from the start, at once, before formulas are set.
  const NEAR = 300; // pixels beside the window
  const begin = (figure) => draw(figure).catch((error) => console.error(error));
  const isNear = ({ top, bottom }) => top < innerHeight + NEAR && bottom > -NEAR;
  const lost = new Set(); // figures without their panels; drawn again in sight, two could take them from each other for ever
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) lost.delete(entry.target);
        if (!entry.isIntersecting || lost.has(entry.target)) continue;
        watcher.unobserve(entry.target);
        begin(entry.target);
      }
    },
    { rootMargin: `${NEAR}px` },
  );
  for (const figure of document.querySelectorAll("figure.pk-figure")) {
    if (isNear(figure.getBoundingClientRect())) begin(figure);
    else watcher.observe(figure);
  }
})();
