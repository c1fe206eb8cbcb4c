// What happens when the page opens: the words and clusters first, then the map, which may not be possible.

setUpSearch();
showOverview();
showGallery();
document.documentElement.dataset.state = "ready";
requestAnimationFrame(() => setTimeout(startMap));
