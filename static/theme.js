// Runs before the page is drawn, so that a chosen theme never flashes. The key is shared with the admin site.
"use strict";
document.documentElement.classList.add("js");
try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") || "auto";
} catch {
  // Storage is switched off in this browser: the theme follows the system.
}
