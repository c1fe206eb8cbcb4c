// Colors of points on the map: those of the clusters, darker in light mode and lighter in dark mode where their contrast
// to the ground would be too low.

const DARK_MODE = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => DARK_MODE.matches && !map.printing;
const GROUNDS = { light: [255, 255, 255], dark: [29, 32, 36] }; // --card in page.css
const LEAST_CONTRAST = [4.5, 6.5, 3]; // of a hue, its darker and its lighter version, in light mode
const SELECTED = { light: [0, 0, 0], dark: [255, 255, 255] };
const NOT_SELECTED = 130; // the opacity of other points beside selected ones, of 255
const HUES = 6;
const COLOR_STEP = 0.04; // the share of black or white that is added at once

// The color `[red, green, blue]` of a cluster's points.
function mapColor(cluster, dark) {
  const ground = dark ? GROUNDS.dark : GROUNDS.light;
  const shade = cluster.number < 0 ? 2 : Math.floor(cluster.number / HUES) % 3;
  // In dark mode the darker version stands out least, and the lighter one most.
  const least = LEAST_CONTRAST[dark && shade ? 3 - shade : shade];
  let color = [1, 3, 5].map((from) => parseInt(cluster.color.slice(from, from + 2), 16));
  while (contrast(color, ground) < least)
    color = color.map((value) => value + ((dark ? 255 : 0) - value) * COLOR_STEP);
  return color.map(Math.round);
}

// The color of an image: that of its cluster, or of the text where it is selected.
function pointColor(index) {
  if (selection.images.has(index)) return isDark() ? SELECTED.dark : SELECTED.light;
  return clusters.get(images.cluster[index]).rgb;
}

// The contrast ratio of two colors, from 1 to 21 (WCAG 2.2).
function contrast(first, second) {
  const [low, high] = [luminance(first), luminance(second)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

function luminance(color) {
  const [red, green, blue] = color.map((value) =>
    value <= 10.314 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
