// Texts and clusters are shown first; the map, which takes longer, comes after the first frame.

planStorage.start();
setUpSearch();
showOverview();
showGallery();
showCopies("duplicates");
showCopies("bursts");
showOutliers();
setUpSelectionBar();
showEarlierChanges();
document.documentElement.dataset.state = "ready";
requestAnimationFrame(() => setTimeout(startMap));
