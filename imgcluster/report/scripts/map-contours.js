// Lines of equal density: where points cover each other, they show how many there are.

const CONTOURS_FROM = 2000; // images
const DENSITY_CELLS = 96; // per side of the map
const DENSITY_BLUR = 3; // rounds of averaging each cell with its neighbors
const DENSITY_LEVELS = [0.08, 0.25, 0.5]; // shares of the highest density

// The contours of points in [-1, 1], as int16 pairs: the two ends of each line in turn.
function densityContours(points) {
  const size = DENSITY_CELLS + 2 * DENSITY_BLUR; // the border stays empty, so that all lines are closed
  let density = new Float32Array(size * size);
  const cellOf = (value) =>
    DENSITY_BLUR + Math.min(DENSITY_CELLS - 1, Math.floor(((value + 1) / 2) * DENSITY_CELLS));
  for (let at = 0; at < points.length; at += 2) density[cellOf(points[at + 1]) * size + cellOf(points[at])]++;
  for (let round = 0; round < DENSITY_BLUR; round++) density = blurred(blurred(density, size, 1), size, size);
  const highest = density.reduce((a, b) => Math.max(a, b), 0);
  const lines = DENSITY_LEVELS.flatMap((share) => contourLines(density, size, share * highest));
  const toMap = (cell) => ((cell - DENSITY_BLUR + 0.5) / DENSITY_CELLS) * 2 - 1;
  return Int16Array.from(lines, (cell) => Math.round(clamp(toMap(cell), -1, 1) * 32767));
}

function blurred(values, size, step) {
  const result = new Float32Array(values.length);
  for (let at = size; at < values.length - size; at++)
    result[at] = (values[at - step] + 2 * values[at] + values[at + step]) / 4;
  return result;
}

// Marching squares: in each square of four values, lines separate those above the level from those below.
function contourLines(values, size, level) {
  const lines = [];
  for (let row = 0; row < size - 1; row++) {
    for (let column = 0; column < size - 1; column++) {
      const at = row * size + column;
      const corners = [
        [column, row, values[at]],
        [column + 1, row, values[at + 1]],
        [column + 1, row + 1, values[at + size + 1]],
        [column, row + 1, values[at + size]],
      ];
      const crossings = corners.flatMap((from, side) => crossing(from, corners[(side + 1) % 4], level));
      if (crossings.length >= 2) lines.push(...crossings[0], ...crossings[1]);
      if (crossings.length === 4) lines.push(...crossings[2], ...crossings[3]);
    }
  }
  return lines;
}

// Where the side between two corners crosses the level: a list of one position, or an empty one.
function crossing([x0, y0, from], [x1, y1, to], level) {
  if (from >= level === to >= level) return [];
  const share = (level - from) / (to - from);
  return [[x0 + share * (x1 - x0), y0 + share * (y1 - y0)]];
}
