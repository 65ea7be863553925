// The triangulated person, turning: drag to turn by hand. `data` has frames of joints (z up, metres), bones and colours, with their counterparts in the dark.
const data = JSON.parse(document.getElementById("person-data").textContent);
const canvas = document.getElementById("person"), pen = canvas.getContext("2d");
const dark = matchMedia("(prefers-color-scheme: dark)");
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
let turn = 0.6, held = null, start = performance.now();

function draw(now) {
  const frame = data.frames[still ? 0 : Math.floor((now - start) / 1000 * data.rate) % data.frames.length];
  if (held === null && !still) turn += 0.004;
  const scale = canvas.height / data.height * 0.85, cos = Math.cos(turn), sin = Math.sin(turn);
  const at = (p) => p && [canvas.width / 2 + scale * (cos * p[0] + sin * p[1]), canvas.height * 0.93 - scale * p[2]];
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.lineWidth = 4;
  pen.lineCap = "round";
  for (const [a, b, color] of data.bones) {
    const from = at(frame[a]), to = at(frame[b]);
    if (!from || !to) continue;
    pen.strokeStyle = dark.matches ? data.dark[color] : color;
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(...to);
    pen.stroke();
  }
  if (!still || held !== null) requestAnimationFrame(draw);
}

canvas.addEventListener("pointerdown", (event) => { held = event.clientX; canvas.setPointerCapture(event.pointerId); requestAnimationFrame(draw); });
canvas.addEventListener("pointermove", (event) => { if (held !== null) { turn += (event.clientX - held) / 100; held = event.clientX; } });
canvas.addEventListener("pointerup", () => { held = null; });
requestAnimationFrame(draw);
