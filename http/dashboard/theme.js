// The remembered colours, before the first paint: a script of its own that the page waits for.
"use strict";
(() => {
  const theme = localStorage.getItem("adtrack.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
