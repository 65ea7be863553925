// Draws each of the book's plotly figures when it comes into view, with the site's own plotly.js and in the page's colours.
// The play button and slider are HTML, so that keyboards and screen readers reach them; a figure's 3D panels turn together.
"use strict";
(() => {
  const here = document.currentScript;
  const plotlyUrl = new URL(here.dataset.plotly, here.src).href;
  const NARROW = 560; // pixels; below it the panels are laid out by layout.meta.narrow
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

  const pageColors = () => {
    const color = getComputedStyle(document.querySelector(".bd-article-container") ?? document.body).color;
    return { "font.color": color };
  };

  const element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  async function draw(figure) {
    const spec = JSON.parse(figure.querySelector("script").textContent);
    const meta = spec.layout.meta;
    const Plotly = await loadPlotly();
    delete spec.layout.sliders; // HTML controls take their place
    delete spec.layout.updatemenus;
    if (spec.frames?.length) spec.layout.margin.b = 30;
    const canvas = element("div", { className: "pk-canvas" });
    figure.append(canvas);
    const config = { displaylogo: false, responsive: true, displayModeBar: false, scrollZoom: false };
    await Plotly.newPlot(canvas, { data: spec.data, layout: spec.layout, frames: spec.frames, config });
    await Plotly.relayout(canvas, pageColors());
    figure.classList.add("pk-drawn");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", meta.alt);
    const scenes = Object.keys(spec.layout).filter((key) => /^scene\d*$/.test(key));
    place(Plotly, canvas, meta);
    if (scenes.length) makeTurnable(Plotly, canvas, scenes, meta.alt);
    if (spec.frames?.length) figure.append(controls(Plotly, canvas, spec.frames, meta));
    new MutationObserver(() => Plotly.relayout(canvas, pageColors())).observe(document.documentElement, {
      attributes: true,
      attributeFilter: ["data-theme"],
    });
    figure.dataset.ready = "true";
    figure.dispatchEvent(new Event("pk-drawn"));
  }

  function place(Plotly, canvas, meta) {
    if (!meta.narrow) return;
    let was = null;
    const fit = () => {
      const narrow = canvas.clientWidth < NARROW;
      if (narrow === was) return;
      was = narrow;
      canvas.parentElement.style.minHeight = "";
      Plotly.relayout(canvas, { ...(narrow ? meta.narrow : meta.wide), "font.size": narrow ? 11 : 13 });
    };
    fit();
    new ResizeObserver(fit).observe(canvas);
  }

  // ---- turning the panels together, and by keyboard ----
  function makeTurnable(Plotly, canvas, scenes, alt) {
    let busy = false;
    const turnAll = (camera) => {
      busy = true;
      const update = Object.fromEntries(scenes.map((scene) => [`${scene}.camera`, camera]));
      return Plotly.relayout(canvas, update).finally(() => (busy = false));
    };
    const follow = (event) => {
      if (busy || scenes.length < 2) return;
      const key = Object.keys(event).find((name) => /^scene\d*\.camera$/.test(name));
      if (key) turnAll(event[key]);
    };
    canvas.on("plotly_relayout", follow);
    canvas.on("plotly_relayouting", follow);

    const start = structuredClone(canvas._fullLayout[scenes[0]].camera);
    canvas.tabIndex = 0;
    canvas.setAttribute("aria-label", `${alt} Turn with the arrow keys, zoom with plus and minus, Home for the first view.`);
    canvas.addEventListener("keydown", (event) => {
      const camera = structuredClone(canvas._fullLayout[scenes[0]].camera);
      const { x, y, z } = camera.eye;
      const radius = Math.hypot(x, y, z);
      let [azimuth, height, distance] = [Math.atan2(y, x), Math.asin(z / radius), radius];
      const moves = {
        ArrowLeft: () => (azimuth -= 0.15),
        ArrowRight: () => (azimuth += 0.15),
        ArrowUp: () => (height = Math.min(1.5, height + 0.1)),
        ArrowDown: () => (height = Math.max(-0.3, height - 0.1)),
        "+": () => (distance /= 1.1),
        "=": () => (distance /= 1.1),
        "-": () => (distance *= 1.1),
      };
      if (event.key === "Home") {
        turnAll(start);
      } else if (moves[event.key] && !event.ctrlKey && !event.metaKey) {
        moves[event.key]();
        const flat = distance * Math.cos(height);
        camera.eye = { x: flat * Math.cos(azimuth), y: flat * Math.sin(azimuth), z: distance * Math.sin(height) };
        turnAll(camera);
      } else {
        return;
      }
      event.preventDefault();
    });
  }

  // ---- time ----
  function controls(Plotly, canvas, frames, meta) {
    const still = { mode: "immediate", transition: { duration: 0 }, frame: { duration: 0, redraw: true } };
    const time = element("output", { textContent: frames[0].name });
    const slider = element("input", { type: "range", min: 0, max: frames.length - 1, value: 0 });
    slider.setAttribute("aria-label", meta.steps ?? "time");
    const button = element("button", { type: "button", textContent: "Play", className: "pk-play" });
    let timer = null;
    let drawing = false;
    const go = async (index) => {
      slider.value = index;
      time.textContent = frames[index].name;
      slider.setAttribute("aria-valuetext", frames[index].name);
      canvas.dataset.frame = index;
      if (drawing) return; // a slow machine skips frames instead of queueing them
      drawing = true;
      try {
        await Plotly.animate(canvas, [frames[index].name], still);
      } finally {
        drawing = false;
      }
    };
    const stop = () => {
      clearInterval(timer);
      timer = null;
      button.textContent = "Play";
    };
    const play = () => {
      timer = setInterval(() => go((Number(slider.value) + 1) % frames.length), meta.frame_ms);
      button.textContent = "Pause";
    };
    button.addEventListener("click", () => (timer ? stop() : play()));
    slider.addEventListener("input", () => {
      stop();
      go(Number(slider.value));
    });
    new IntersectionObserver((entries) => {
      if (timer && !entries.at(-1).isIntersecting) stop(); // nothing plays while it is out of sight
    }).observe(canvas);
    if (meta.autoplay && !matchMedia("(prefers-reduced-motion: reduce)").matches) play();
    return element("div", { className: "pk-controls" }, button, slider, time);
  }

  const watcher = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        watcher.unobserve(entry.target);
        draw(entry.target).catch((error) => console.error(error));
      }
    },
    { rootMargin: "300px" },
  );
  document.querySelectorAll("figure.pk-figure").forEach((figure) => watcher.observe(figure));
})();
