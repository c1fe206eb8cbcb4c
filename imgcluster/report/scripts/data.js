// The page's data: images and clusters, decoded once.

const data = JSON.parse(document.getElementById("data").textContent);

function decodeBytes(text, ArrayType = Uint8Array) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return new ArrayType(bytes.buffer);
}

// The path of a local file; the address itself of another one; null for a name that is not UTF-8.
function pathOfUrl(url) {
  if (url.protocol !== "file:") return url.href;
  try {
    return (url.host && `//${url.host}`) + decodeURIComponent(url.pathname).replace(/^\/(?=[a-z]:\/)/i, "");
  } catch {
    return null;
  }
}

// A path relative to a folder, or an absolute one, as an absolute path.
function joinPath(base, path) {
  if (!base || /^(\/|.:\/|[a-z][a-z0-9]+:\/\/)/.test(path)) return path;
  const up = path.match(/^(\.\.\/)*/)[0];
  const parts = base.replace(/\/$/, "").split("/");
  return [...parts.slice(0, parts.length - up.length / 3), path.slice(up.length)].join("/");
}

const images = {
  count: data.images.names.length,
  names: data.images.names,
  folders: data.images.folders,
  folder: decodeBytes(data.images.folder, Int32Array),
  cluster: decodeBytes(data.images.cluster, Int32Array),
  decisions: new Map(Object.entries(data.images.decisions).map(([index, decision]) => [Number(index), decision])),
  runnerUp: data.images.runnerUp === null ? null : decodeBytes(data.images.runnerUp, Int32Array),
  confidence: Float32Array.from(decodeBytes(data.images.confidence, Uint16Array), (value) => value / 65535),
  pixels: decodeBytes(data.images.pixels, Int32Array),
  distance: decodeBytes(data.images.distance, Float32Array),
  // Seconds, NaN where the time is unknown; null where all are.
  captured: data.images.captured === null ? null : decodeBytes(data.images.captured, Float64Array),
  camera: data.images.camera === null ? null : decodeBytes(data.images.camera, Int32Array),
  points: Float32Array.from(decodeBytes(data.images.points, Int16Array), (value) => value / 32767),

  // An image that this page's sample does not have is known by its path only.
  path(index) {
    if (typeof index === "string") return index;
    const folder = this.folders[this.folder[index]][0];
    return folder ? `${folder}/${this.names[index]}` : this.names[index];
  },

  // A link to the original, relative to this page; names may contain "?", "#" or "%".
  link(index) {
    const own = data.images.links[index];
    if (own !== undefined) return own;
    const folder = this.folders[this.folder[index]][1];
    return `${folder}/${encodeURIComponent(this.names[index])}`;
  },

  // The address of the original; null where a browser does not open it from this page.
  address(index) {
    const url = new URL(this.link(index), location.href);
    return url.protocol === location.protocol || url.protocol.startsWith("http") ? url : null;
  },

  // The absolute path of the original, where it is now, or its address.
  fullPath(index) {
    const moved = data.images.links[index] === undefined ? null : this.address(index);
    const path = (moved && pathOfUrl(moved)) || joinPath(data.images.base, this.path(index));
    return /^[a-z]:\//i.test(path) ? path.replaceAll("/", "\\") : path;
  },
};

// The most similar images of an image; none if they are not known.
const neighbors = data.findings.neighbors && decodeBytes(data.findings.neighbors.images, Int32Array);
function similarImages(index) {
  if (!neighbors) return [];
  const { count } = data.findings.neighbors;
  return [...neighbors.subarray(index * count, (index + 1) * count)];
}

// The duplicates that are in the folder of duplicates already.
const setAside = new Set(data.findings.setAside);

const clusters = new Map(data.clusters.map((cluster) => [cluster.number, cluster]));
// More than `count` if the page shows a sample.
images.total = data.clusters.reduce((sum, { size }) => sum + size, 0);
const isSampled = (cluster) => cluster.members.length < cluster.size;
for (const cluster of clusters.values()) cluster.members = [];
for (let i = 0; i < images.count; i++) clusters.get(images.cluster[i]).members.push(i);
for (const cluster of clusters.values()) {
  // Highest confidence first; the index breaks ties.
  cluster.members.sort((a, b) => images.confidence[b] - images.confidence[a] || a - b);
  let sum = 0;
  for (const member of cluster.members) sum += images.confidence[member];
  cluster.confidence = sum / cluster.members.length;
}
