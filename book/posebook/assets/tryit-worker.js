// The lifter of the front page, "Try it" and "Lift yourself": takes a 2D pose and the place of its camera, and returns the 3D
// pose and how other cameras would see it. Mirrors posekit's RayLifter (needs "level"), inputs.see and Cameras; the scale and
// shift of layer norms are folded into the weights. Reads the files that tryit.py writes.
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

// ---- vectors; a matrix is a list of rows ----
const plus = (a, b) => a.map((value, k) => value + b[k]);
const minus = (a, b) => a.map((value, k) => value - b[k]);
const times = (a, scale) => a.map((value) => value * scale);
const dot = (a, b) => a.reduce((sum, value, k) => sum + value * b[k], 0);
const unit = (a) => times(a, 1 / Math.hypot(...a));
const cross = ([a, b, c], [x, y, z]) => [b * z - c * y, c * x - a * z, a * y - b * x];
const turnedBy = (rows, a) => rows.map((row) => dot(row, a));
const turnedBack = (rows, a) => a.map((_, k) => dot(rows.map((row) => row[k]), a));

// ---- cameras: pinholes that look at the root of a person, zoomed so that the person fills the picture ----
function cameraAt({ picture: { side, fills } }, root, { azimuth, height, distance }) {
  const center = [root[0] + Math.cos(azimuth) * distance, root[1] + Math.sin(azimuth) * distance, height];
  const forward = unit(minus(root, center));
  const right = unit(cross(forward, [0, 0, 1]));
  const R = [right, cross(forward, right), forward];
  return { R, center, focal: (fills * side * Math.hypot(...minus(root, center))) / 2, middle: side / 2 };
}

const toCamera = ({ R, center }, point) => turnedBy(R, minus(point, center));
const toWorld = ({ R, center }, point) => plus(turnedBack(R, point), center);
const toRay = ({ focal, middle }, [x, y]) => [(x - middle) / focal, (y - middle) / focal, 1];

function toPixels({ near }, camera, point) {
  const [x, y, z] = toCamera(camera, point);
  const inverse = z > near ? 1 / z : (2 * near - z) / near ** 2;
  return [x, y].map((value) => value * inverse * camera.focal + camera.middle);
}

// ---- what the network sees: the camera turned towards the person about the vertical, upright ----
function see(model, camera, pixels, heightError) {
  const missing = pixels.map((point) => point === null);
  const rays = filled(model, pixels).map((point) => toRay(camera, point));
  const up = camera.R.map((row) => row[2]);
  const down = times(up, -1);
  const forward = unit(minus(rays[0], times(up, dot(rays[0], up))));
  const turned = [cross(down, forward), down, forward];
  const ahead = rays.map((ray) => turnedBy(turned, ray)).map((ray) => times(ray, 1 / ray[2]));
  return { rays: ahead, missing, turned, height: camera.center[2] + heightError };
}

// A missing joint (null) is put at the nearest one along the bones that was found.
function filled({ parents }, pixels) {
  const chain = (joint) => (joint < 0 ? [] : [joint, ...chain(parents[joint])]);
  const apart = (a, b) => chain(a).filter((k) => !chain(b).includes(k)).length + chain(b).filter((k) => !chain(a).includes(k)).length;
  const found = pixels.flatMap((point, joint) => (point ? [joint] : []));
  const nearest = (joint) => found.reduce((best, k) => (apart(joint, k) < apart(joint, best) ? k : best));
  return pixels.map((point, joint) => point ?? pixels[nearest(joint)]);
}

function mirrored({ partners }, { rays, missing, ...rest }) {
  const swapped = partners.map((partner) => rays[partner]).map(([x, y, z]) => [-x, y, z]);
  return { ...rest, rays: swapped, missing: partners.map((partner) => missing[partner]) };
}

function features({ parents }, { rays, missing, height }) {
  const bones = rays.slice(1).flatMap((ray, k) => minus(ray, rays[parents[k + 1]]).slice(0, 2));
  return [rays[0][1], height, ...bones, ...missing.map(Number)];
}

// ---- the network ----
function linear({ inputs, outputs, matrix, bias }, features) {
  const result = Float32Array.from(bias);
  for (let row = 0, k = 0; row < outputs; row++) {
    let sum = 0;
    for (let column = 0; column < inputs; column++) sum += matrix[k++] * features[column];
    result[row] += sum;
  }
  return result;
}

// The error function, by formula 7.1.26 of Abramowitz and Stegun: off by less than 2e-7.
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - series * Math.exp(-x * x));
}

const gelu = (features) => features.map((value) => (value * (1 + erf(value * Math.SQRT1_2))) / 2);

function normalised(features, eps) {
  const mean = features.reduce((sum, value) => sum + value, 0) / features.length;
  const variance = features.reduce((sum, value) => sum + (value - mean) ** 2, 0) / features.length;
  return features.map((value) => (value - mean) / Math.sqrt(variance + eps));
}

// For every joint its depth, and a step aside in x and y.
function network(model, seen) {
  const { layers, mean, std, norm_eps } = model;
  let hidden = gelu(linear(layers[0], features(model, seen).map((value, k) => (value - mean[k]) / std[k])));
  for (let k = 1; k < layers.length - 1; k += 2) {
    hidden = plus(hidden, linear(layers[k + 1], gelu(linear(layers[k], normalised(hidden, norm_eps)))));
  }
  const flat = linear(layers.at(-1), hidden);
  return Array.from({ length: flat.length / 3 }, (_, k) => [...flat.subarray(3 * k, 3 * k + 3)]);
}

// Joints in pixels -> joints in camera coordinates, metres; the mean of two answers, one of them to the mirror image.
function lift(model, camera, pixels, heightError) {
  const seen = see(model, camera, pixels, heightError);
  const [outputs, others] = [network(model, seen), network(model, mirrored(model, seen))];
  const scaled = outputs.map(([depth, x, y], joint) => {
    const [otherDepth, otherX, otherY] = others[model.partners[joint]];
    return times([depth + otherDepth, x - otherX, y + otherY], model.depth_spread / 2);
  });
  const root = model.distance * Math.exp(scaled[0][0]);
  return scaled.map(([depth, x, y], joint) => {
    const onRay = times(seen.rays[joint], joint ? root + depth : root);
    return turnedBack(seen.turned, seen.missing[joint] ? plus(onRay, [x, y, 0]) : onRay);
  });
}

function answer(model, { example, places, pixels, height_error }) {
  const truth = model.examples[example].pose;
  const cameras = places.map((place) => cameraAt(model, truth[0], place));
  const truths = cameras.map((camera) => truth.map((point) => toPixels(model, camera, point)));
  const pose = lift(model, cameras[0], pixels ?? truths[0], height_error);
  const world = pose.map((point) => toWorld(cameras[0], point));
  const views = cameras.slice(1).map((camera) => world.map((point) => toPixels(model, camera, point)));
  return { camera: pose, world, views, truths, focal: cameras[0].focal, eye: cameras[0] };
}

const liftedToWorld = (model, camera, pixels) => lift(model, camera, pixels, 0).map((point) => toWorld(camera, point));

// The camera at the height for which a person stands on the floor: the lowest of some joints comes out as high as asked. The
// higher a camera is said to be, the larger a person is lifted, and the higher over the floor.
function standing(model, camera, pixels, { joints, height, between: [low, high] }) {
  for (let step = 0; step < 12; step++) {
    const world = liftedToWorld(model, camera, pixels);
    const gap = Math.min(...joints.map((joint) => world[joint][2])) - height;
    const [x, y, z] = camera.center;
    camera = { ...camera, center: [x, y, Math.min(Math.max(z - 2 * gap, low), high)] };
  }
  return camera;
}

// The 2D pose that a camera sees, or else what it sees of a true pose, lifted: "Lift yourself" and the front page ask for it
// frame by frame.
function liftedFrom(model, { pose, camera, stand, pixels = pose.map((point) => toPixels(model, camera, point)) }) {
  const eye = stand ? standing(model, camera, pixels, stand) : camera;
  return { pixels, camera: eye, world: liftedToWorld(model, eye, pixels) };
}

// A question with {camera, pixels} or {camera, pose} gets {pixels, camera, world}; with {stand} as well, the camera's height is
// found first.
// Any other is {example, places, pixels, height_error, ...}: the camera's place and those of onlookers; the 2D pose, null for
// what the camera sees of the true one; and by how much more than its height the lifter is told, metres.
// The reply is the message itself plus {camera, world, views, truths, focal, eye}, or plus {error}.
self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ ...data, ...(data.camera ? liftedFrom : answer)(await model, data) });
  } catch (error) {
    self.postMessage({ ...data, error: error.message });
  }
};
