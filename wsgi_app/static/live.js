"use strict";

/*
 * Keeps the page as the server would render it now. The page comes complete and works without this file; here it
 * follows /api/stream, from the cursor (the newest update's id) that the page was rendered at.
 *
 * The markup in the events is made by the same templates as the page's, and escaped there.
 */
(() => {
  const STATUS = {
    connecting: "Connecting…",
    live: "Live",
    lost: "Disconnected",
    offline: "Offline",
  };
  const LONGEST_WAIT = 30000;

  const status = document.getElementById("live");
  const announcer = document.getElementById("announcer");
  const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

  let cursor = document.getElementById("board").dataset.cursor;
  let source = null;
  let retry = null;
  let wait = 1000;

  const find = (selector, root = document.getElementById("board")) => root.querySelector(selector);

  function parse(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content.firstElementChild;
  }

  /* ---- What the page shows ---- */

  function showStatus(state) {
    status.hidden = false;
    status.dataset.state = state;
    status.textContent = STATUS[state];
  }

  function localize(root) {
    for (const time of root.querySelectorAll("time:not([title])")) {
      time.title = time.textContent;
      time.textContent = moments.format(new Date(time.dateTime));
    }
  }

  const knownUpdates = (root) =>
    new Set(Array.from(root.querySelectorAll("[data-update]"), (update) => update.dataset.update));

  /* Mark the updates of `fresh` that `shown` lacks, and return them, oldest first. */
  function markNews(fresh, shown) {
    const known = shown ? knownUpdates(shown) : new Set();
    const news = Array.from(fresh.querySelectorAll("[data-update]")).filter(
      (update) => !known.has(update.dataset.update),
    );
    for (const update of news) update.classList.add("fresh");
    return news.reverse();
  }

  function announce(fresh, news) {
    if (!news.length) return;
    const title = fresh.querySelector("h3").textContent.trim();
    announcer.textContent = `${title}: ${news.at(-1).innerText.trim()}`;
  }

  /* On an incident's own page: its state, and its new updates on top of all the older ones. */
  function mergeStory(shown, fresh, news) {
    shown.dataset.state = fresh.dataset.state;
    find("[data-badge]", shown).replaceWith(find("[data-badge]", fresh));
    find("[data-updates]", shown).prepend(...news.reverse());
  }

  /* On the board: in its section, newest incident first. */
  function place(fresh, shown, open) {
    const list = find(`[data-section=${open ? "open" : "past"}] [data-list]`);
    const focused = shown?.contains(document.activeElement);
    if (shown && shown.parentElement === list) {
      shown.replaceWith(fresh);
    } else {
      shown?.remove();
      const older = Array.from(list.children).find(
        (other) => Number(other.dataset.incident) < Number(fresh.dataset.incident),
      );
      list.insertBefore(fresh, older ?? null);
    }
    if (focused) find("a", fresh).focus();
  }

  function mergeIncident(change) {
    const only = document.getElementById("board").dataset.only;
    if (only && Number(only) !== change.id) return;
    const fresh = parse(change.html);
    const shown = find(`[data-incident="${change.id}"]`);
    const news = markNews(fresh, shown);
    announce(fresh, news);
    localize(fresh);
    if (only) mergeStory(shown, fresh, news);
    else place(fresh, shown, change.open);
  }

  function merge(changes) {
    find("[data-summary]")?.replaceWith(parse(changes.summary));
    changes.incidents.forEach(mergeIncident);
  }

  /* Everything again, as a reload would show it. Not all readers in the same moment. */
  function reload() {
    setTimeout(async () => {
      try {
        const reply = await fetch(location.href, { headers: { Accept: "text/html" } });
        if (!reply.ok) throw new Error(reply.statusText);
        const page = new DOMParser().parseFromString(await reply.text(), "text/html");
        const board = document.adoptNode(page.getElementById("board"));
        localize(board);
        document.getElementById("board").replaceWith(board);
      } catch {
        setTimeout(reload, LONGEST_WAIT);
      }
    }, Math.random() * 1500);
  }

  /* ---- The stream ---- */

  function connect() {
    disconnect();
    source = new EventSource(`/api/stream?since=${cursor}`);
    source.addEventListener("open", () => {
      wait = 1000;
      showStatus("live");
    });
    source.addEventListener("changes", (event) => {
      cursor = event.lastEventId;
      merge(JSON.parse(event.data));
    });
    source.addEventListener("reload", (event) => {
      cursor = event.lastEventId;
      reload();
    });
    source.addEventListener("error", () => {
      showStatus(navigator.onLine ? "lost" : "offline");
      // A browser comes back by itself from a cut connection, but not from a refusal (a server that restarts).
      if (source.readyState === EventSource.CLOSED) {
        retry = setTimeout(connect, wait * (0.5 + Math.random()));
        wait = Math.min(wait * 2, LONGEST_WAIT);
      }
    });
  }

  function disconnect() {
    clearTimeout(retry);
    source?.close();
  }

  localize(document);
  showStatus("connecting");
  connect();
  addEventListener("online", connect);
  addEventListener("offline", () => showStatus("offline"));
  // A page that the browser keeps for the way back must not hold its connection; what it misses is sent later.
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", (event) => {
    if (event.persisted) connect();
  });
})();
