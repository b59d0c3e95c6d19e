/* Tells operators how many pages are open, as long as they look. */
(() => {
  "use strict";
  const url = document.currentScript.dataset.readers;
  const line = document.getElementById("readers");

  async function show() {
    if (document.hidden) return;
    try {
      const reply = await fetch(url, { cache: "no-store" });
      if (!reply.ok) throw new Error(reply.statusText);
      const { readers } = await reply.json();
      line.textContent = readers === 1 ? "One page is open and follows." : `${readers} pages are open and follow.`;
      line.hidden = false;
    } catch {
      line.hidden = true; // better no number than an old one
    }
  }

  show();
  setInterval(show, 5000);
  document.addEventListener("visibilitychange", show);
})();
