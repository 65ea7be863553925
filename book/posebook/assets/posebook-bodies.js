// Gives the people of a 3D figure a body: each bone a tapered limb, a head, and a soft shadow on the floor.
// A figure holds joints only; what stands around them is made here, anew for every frame.
"use strict";
(() => {
  const STOUTEST = 0.35; // metres; no limb is thicker than with bones of that length
  const ROUND = 8; // corners of a limb's cross-section
  const SHADES = 12; // discs whose overlap makes a shadow soft at its edge
  const minus = (a, b) => a.map((value, k) => value - b[k]);
  const along = (a, b, share) => a.map((value, k) => value + share * (b[k] - value));
  const size = (a) => Math.hypot(...a);
  const scaled = (a, factor) => a.map((value) => value * factor);
  const cross = ([a, b, c], [x, y, z]) => [b * z - c * y, c * x - a * z, a * y - b * x];
  const points = ({ x, y, z }) => Array.from(x, (_, k) => [x[k], y[k], z[k]]);
  const known = (point) => point.every(Number.isFinite);

  // Two directions across a bone and one along it, each of length 1.
  function directions(bone) {
    const length = size(bone) || 1;
    const w = length > 1e-6 ? scaled(bone, 1 / length) : [0, 0, 1];
    const other = Math.abs(w[2]) < 0.9 ? [0, 0, 1] : [1, 0, 0];
    const u = cross(w, other);
    const across = scaled(u, 1 / size(u));
    return [across, cross(w, across), w];
  }

  // Rings [share of the length, extra length, radius] that a limb or a head is stretched over; the ends are round.
  const LIMB = [[0, -0.8, 0.6], [0, 0, 1], [0.35, 0, 1.08], [1, 0, 0.72], [1, 0.55, 0.42]];
  const BALL = [-0.97, -0.8, -0.4, 0, 0.4, 0.8, 0.97].map((s) => [0.5, s, Math.sqrt(1 - s * s)]);

  function stretched(rings, from, to, radius, mesh) {
    const [u, v, w] = directions(minus(to, from));
    const first = mesh.vertices.length;
    for (const [share, extra, wide] of rings) {
      const middle = along(from, to, share).map((value, k) => value + extra * radius * w[k]);
      for (let corner = 0; corner < ROUND; corner++) {
        const angle = (2 * Math.PI * corner) / ROUND;
        const [a, b] = [wide * radius * Math.cos(angle), wide * radius * Math.sin(angle)];
        mesh.vertices.push(middle.map((value, k) => value + a * u[k] + b * v[k]));
      }
    }
    for (let ring = 0; ring < rings.length; ring++) {
      const start = first + ring * ROUND;
      for (let corner = 0; corner < ROUND; corner++) {
        const next = (corner + 1) % ROUND;
        if (ring + 1 < rings.length) {
          mesh.faces.push([start + corner, start + next, start + ROUND + corner]);
          mesh.faces.push([start + next, start + ROUND + next, start + ROUND + corner]);
        }
        const isEnd = ring === 0 || ring === rings.length - 1;
        if (isEnd && corner > 1) mesh.faces.push([start, start + corner - 1, start + corner]);
      }
    }
  }

  // The body of one person, from the traces of the sides: vertices, faces, and which side each vertex belongs to.
  function body(lines) {
    const mesh = { vertices: [], faces: [], owners: [] };
    const bones = lines.flatMap(({ at, head }, side) => {
      const joints = points(at);
      return joints.flatMap((from, k) => (k % 3 ? [] : [{ from, to: joints[k + 1], side, isHead: k + 1 === head }]));
    });
    const lengths = bones.map(({ from, to }) => size(minus(to, from))).filter(Number.isFinite);
    const usual = Math.min(lengths.sort((a, b) => a - b)[lengths.length >> 1] || 0.25, STOUTEST); // a wrong pose may be huge
    for (const { from, to, side, isHead } of bones) {
      const present = known(from) && known(to);
      const [a, b] = present ? [from, to] : [[NaN, NaN, NaN], [NaN, NaN, NaN]];
      stretched(LIMB, a, b, 0.15 * usual, mesh);
      if (isHead) stretched(BALL, along(a, b, 0.25), along(a, b, 1.05), 0.4 * usual, mesh);
      while (mesh.owners.length < mesh.vertices.length) mesh.owners.push(side);
    }
    return mesh;
  }

  // Discs on the floor under all of a person, wide where the person is.
  function shadow(lines) {
    const all = lines.flatMap(({ at }) => points(at)).filter(known);
    const mean = [0, 1].map((k) => all.reduce((sum, point) => sum + point[k], 0) / all.length);
    const [xx, xy, yy] = [[0, 0], [0, 1], [1, 1]].map(
      ([i, k]) => all.reduce((sum, p) => sum + (p[i] - mean[i]) * (p[k] - mean[k]), 0) / all.length + (i === k ? 0.008 : 0),
    );
    const l = Math.sqrt(xx); // Cholesky: a round disc becomes one as wide as the person, in each direction
    const m = xy / l;
    const n = Math.sqrt(Math.max(1e-4, yy - m * m));
    const mesh = { vertices: [], faces: [] };
    for (let disc = 0; disc < SHADES; disc++) {
      const radius = 2.4 * (1 - disc / (SHADES + 1));
      const first = mesh.vertices.length;
      for (let corner = 0; corner < 16; corner++) {
        const [a, b] = [radius * Math.cos((corner * Math.PI) / 8), radius * Math.sin((corner * Math.PI) / 8)];
        mesh.vertices.push([mean[0] + l * a, mean[1] + m * a + n * b, 0.002 * (disc + 1)]);
        if (corner > 1) mesh.faces.push([first, first + corner - 1, first + corner]);
      }
    }
    return mesh;
  }

  const columns = (vertices) => Object.fromEntries(["x", "y", "z"].map((axis, k) => [axis, vertices.map((v) => v[k])]));
  const corners = (faces) => Object.fromEntries(["i", "j", "k"].map((name, k) => [name, faces.map((face) => face[k])]));
  const LIGHT = { ambient: 0.85, diffuse: 0.4, specular: 0.05, roughness: 0.9, fresnel: 0.05 };

  // A typed array as plotly's JSON has it, or a plain one.
  const TYPES = { f4: Float32Array, f8: Float64Array };
  function numbers(values) {
    if (!values.bdata) return values;
    return new TYPES[values.dtype](Uint8Array.from(atob(values.bdata), (letter) => letter.charCodeAt(0)).buffer);
  }

  // What every trace of a person holds in a figure that does not move.
  function resting(spec) {
    const moving = spec.data.flatMap((trace, number) => (trace.meta?.person === undefined || !trace.z ? [] : [number]));
    const at = (number) => Object.fromEntries(["x", "y", "z"].map((axis) => [axis, numbers(spec.data[number][axis])]));
    const first = moving.map(at); // plotly changes the trace itself
    return { traces: moving, names: [""], frame: () => first };
  }

  // The traces of each person in a 3D panel: bones by side, tinted joints, and where the root is, as [trace, point].
  function peopleOf(spec) {
    const people = new Map();
    spec.data.forEach((trace, number) => {
      if (trace.type !== "scatter3d" || trace.meta?.person === undefined) return;
      const { person, ghost, joints, root } = trace.meta;
      if (!people.has(person)) people.set(person, { lines: [], all: [], ghost, scene: trace.scene });
      const one = people.get(person);
      if (!joints) one.lines.push(number);
      if (root !== undefined) one.root ??= [number, root];
      one.all.push(number);
    });
    return [...people.values()];
  }

  // Adds bodies and shadows behind the figure's own traces, whose numbers stay; hides the lines that they stand for.
  // Given new coordinates by trace, a person can `join` its root with the truth's, and its body can `follow`.
  function dress(spec) {
    const people = peopleOf(spec);
    const ghosts = people.filter(({ ghost }) => ghost);
    return people.filter(({ ghost }) => !ghost).map((person) => {
      const truth = ghosts.find(({ scene }) => scene === person.scene);
      const traces = person.lines.map((number) => spec.data[number]);
      const lines = (at) => person.lines.map((number, side) => ({ at: at(number), head: traces[side].meta.head }));
      const { frame, traces: order } = resting(spec);
      const first = new Map(frame().map((at, k) => [order[k], at]));
      const flesh = body(lines((number) => first.get(number)));
      const dark = shadow(lines((number) => first.get(number)));
      const place = spec.data.length;
      const common = { type: "mesh3d", scene: person.scene, hoverinfo: "skip", showlegend: false };
      const vertexcolor = flesh.owners.map((side) => traces[side].line.color);
      spec.data.push(
        { ...common, ...columns(flesh.vertices), ...corners(flesh.faces), vertexcolor, lighting: LIGHT, flatshading: false },
        { ...common, ...columns(dark.vertices), ...corners(dark.faces), color: "#000000", opacity: 0.035, lighting: { ambient: 1 } },
      );
      for (const trace of traces) trace.visible = "legendonly"; // they keep the joints
      const follow = (moved) => {
        if (!person.lines.every((number) => moved.has(number))) return; // what moves is something else
        const latest = lines((number) => moved.get(number));
        moved.set(place, columns(body(latest).vertices));
        moved.set(place + 1, columns(shadow(latest).vertices));
      };
      const join = (moved) => {
        if ([person, truth].some((one) => !one?.root || !moved.has(one.root[0]))) return;
        const [own, aim] = [person, truth].map(({ root: [number, point] }) => [moved.get(number), point]);
        const shift = ["x", "y", "z"].map((axis) => aim[0][axis][aim[1]] - own[0][axis][own[1]]);
        for (const number of person.all) {
          const at = moved.get(number);
          const shifted = ["x", "y", "z"].map((axis, k) => [axis, at[axis].map((value) => value + shift[k])]);
          moved.set(number, Object.fromEntries(shifted));
        }
      };
      return { follow, join };
    });
  }

  window.posebookBodies = { dress, resting };
})();
