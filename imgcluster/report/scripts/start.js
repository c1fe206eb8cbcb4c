// Texts and clusters are shown first; the map, which takes longer, comes after the first frame.

setUpSearch();
showOverview();
showGallery();
showCopies("duplicates");
showCopies("bursts");
showOutliers();
setUpSelectionBar();
document.documentElement.dataset.state = "ready";
requestAnimationFrame(() => setTimeout(startMap));
