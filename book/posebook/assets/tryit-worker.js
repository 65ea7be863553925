// The lifter of the page "Try it": takes a 2D pose, and returns the 3D pose and its projection into each camera.
// Mirrors posekit's FrameLifter and Cameras; batch norm is folded into the weights. Reads the files that tryit.py writes.
"use strict";

const model = load();

async function load() {
  const [manifest, weights] = await Promise.all([fetched("manifest.json"), fetched("weights.bin")]);
  const { layers, ...rest } = await manifest.json();
  return { ...rest, layers: unpack(layers, new Uint16Array(await weights.arrayBuffer())) };
}

async function fetched(name) {
  const url = new URL(`tryit/${name}`, self.location);
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response;
}

function unpack(sizes, halves) {
  const numbers = Float32Array.from(halves, fromHalf);
  let start = 0;
  const take = (count) => numbers.subarray(start, (start += count));
  return sizes.map(([inputs, outputs]) => ({ inputs, outputs, matrix: take(inputs * outputs), bias: take(outputs) }));
}

function fromHalf(bits) {
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction);
}

// ---- the network ----
function linear({ inputs, outputs, matrix, bias }, features) {
  const result = Float32Array.from(bias);
  for (let row = 0, k = 0; row < outputs; row++) {
    for (let column = 0; column < inputs; column++) result[row] += matrix[k++] * features[column];
  }
  return result;
}

const relu = (features) => features.map((value) => Math.max(0, value));
const dense = (layer, features) => relu(linear(layer, features));

// Joints in screen coordinates -> joints in camera coordinates, metres.
function lift({ layers, scene_distance }, screen) {
  let hidden = dense(layers[0], screen.flat());
  for (let k = 1; k < layers.length - 1; k += 2) {
    const change = dense(layers[k + 1], dense(layers[k], hidden));
    hidden = hidden.map((value, index) => value + change[index]);
  }
  const [[rayX, rayY, logDepth], ...offsets] = inThrees(linear(layers.at(-1), hidden));
  const depth = scene_distance * Math.exp(logDepth);
  const root = [depth * rayX, depth * rayY, depth];
  return [root, ...offsets.map((offset) => offset.map((value, axis) => value + root[axis]))];
}

const inThrees = (flat) => Array.from({ length: flat.length / 3 }, (_, k) => [...flat.subarray(3 * k, 3 * k + 3)]);

// ---- the cameras ----
const toScreen = ({ image_size_px: [width, height] }, [x, y]) => [(2 * x - width) / width, (2 * y - height) / width];

function toWorld({ R_world_to_camera: R, t_world_to_camera: t }, point) {
  const moved = point.map((value, axis) => value - t[axis]);
  return [0, 1, 2].map((axis) => moved.reduce((sum, value, row) => sum + R[row][axis] * value, 0));
}

function toCamera({ R_world_to_camera: R, t_world_to_camera: t }, point) {
  return R.map((row, axis) => row.reduce((sum, value, k) => sum + value * point[k], t[axis]));
}

function toPixels({ near, lens_reach }, camera, [x, y, z]) {
  const inverse = z > near ? 1 / z : (2 * near - z) / near ** 2;
  const ray = [x * inverse, y * inverse];
  const within = Math.min(1, lens_reach / Math.hypot(...ray));
  const r2 = Math.hypot(...ray.map((value) => value * within)) ** 2;
  const [k1, k2, k3] = camera.radial;
  const turned = [...camera.tangential].reverse();
  const bend = 2 * within * (ray[0] * turned[0] + ray[1] * turned[1]);
  const gain = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)) + bend;
  return ray.map((value, axis) => {
    const bent = value * gain + r2 * turned[axis];
    return bent * camera.focal_px[axis] + camera.center_px[axis];
  });
}

function answer(model, { example, pixels }) {
  const { cameras, view } = model.examples[example];
  const pose = lift(model, pixels.map((point) => toScreen(cameras[view], point)));
  const world = pose.map((point) => toWorld(cameras[view], point));
  const views = cameras.map((camera) => world.map((point) => toPixels(model, camera, toCamera(camera, point))));
  return { camera: pose, world, views };
}

// The reply to a message {example, pixels, ...} is the message itself plus {camera, world, views}, or plus {error}.
self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ ...data, ...answer(await model, data) });
  } catch (error) {
    self.postMessage({ ...data, error: error.message });
  }
};
