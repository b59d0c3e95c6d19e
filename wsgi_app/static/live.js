"use strict";

/*
 * Keeps the page as the server would render it now. The page comes complete and works without this file; here it
 * follows /api/stream from the cursor (the board's version) that the page was rendered at, or, where no stream comes
 * through, /api/poll. The markup in the events is made by the same templates as the page's, and escaped there. Where
 * no event can say what has changed (much, or the components themselves), "reload" has it fetch the page again.
 */
(() => {
  const STATUS = { connecting: "Connecting…", live: "Live", lost: "Disconnected", offline: "Offline" };
  const LONGEST_WAIT = 30000;
  const BEAT_WAIT = 40000; // the server's heart beats every 15 s
  const STREAM_WAIT = 10000; // for its first beat: a proxy that holds streams back never lets it through
  const POLLS = 8; // then the stream is tried again
  const POLL_WAIT = 40000; // the server answers after 25 s

  const urls = document.currentScript.dataset;
  const status = document.getElementById("live");
  const notice = document.getElementById("notice");
  const announcer = document.getElementById("announcer");
  const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

  let cursor = document.getElementById("board").dataset.cursor;
  let source = null;
  let asking = null;
  let retry = null;
  let watchdog = null;
  let wait = 1000;

  const find = (selector, root = document.getElementById("board")) => root.querySelector(selector);

  function parse(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return Array.from(template.content.children);
  }

  /* ---- What the page shows ---- */

  function showStatus(state) {
    status.hidden = false;
    status.dataset.state = state;
    status.textContent = STATUS[state];
    notice.hidden = state === "live" || (state === "connecting" && notice.hidden);
  }

  const showLost = () => showStatus(navigator.onLine ? "lost" : "offline");

  function localize(root) {
    for (const range of root.querySelectorAll(".range:not([title])")) {
      const [start, end] = Array.from(range.querySelectorAll("time"), (time) => new Date(time.dateTime));
      range.title = range.textContent;
      range.textContent = moments.formatRange(start, end);
    }
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
    for (const part of ["[data-badge]", ".facts"]) find(part, shown).replaceWith(find(part, fresh));
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
    const [fresh] = parse(change.html);
    const shown = find(`[data-incident="${change.id}"]`);
    const news = markNews(fresh, shown);
    announce(fresh, news);
    localize(fresh);
    if (only) mergeStory(shown, fresh, news);
    else place(fresh, shown, change.open);
  }

  /* At the end of a component's history: the day that was the last, as it is now, and those after it. In words, how
   * many were not well. */
  function mergeDays(component, days) {
    const history = find(`[data-component="${component}"] .history`);
    if (!history) return;
    for (const day of days) {
      const last = history.lastElementChild;
      if (last.dataset.day === day.dataset.day) {
        last.replaceWith(day);
      } else if (last.dataset.day < day.dataset.day) {
        history.append(day);
        history.firstElementChild.remove();
      }
    }
    const troubled = "[data-condition]:not([data-condition=operational], [data-condition=unknown])";
    const words = history.getAttribute("aria-label");
    history.setAttribute("aria-label", words.replace(/^\d+/, history.querySelectorAll(troubled).length));
  }

  function mergePart(name, html) {
    const fresh = parse(html);
    fresh.forEach(localize);
    if (name.startsWith("days-")) mergeDays(name.slice("days-".length), fresh);
    else find(`[data-part="${name}"]`)?.replaceWith(...fresh);
  }

  function merge(changes) {
    for (const [name, html] of Object.entries(changes.parts)) mergePart(name, html);
    changes.incidents.forEach(mergeIncident);
  }

  function receive(event) {
    if (event.event === "reload") return reload(); // until the page is there, the cursor stays where it was
    cursor = event.cursor;
    merge(event.data);
  }

  /* ---- Where the events come from ---- */

  function later(start) {
    retry = setTimeout(start, wait * (0.5 + Math.random()));
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }

  function succeeded() {
    wait = 1000;
    showStatus("live");
  }

  /* Expect a sign of life within so many milliseconds. */
  function expectBeat(patience, giveUp) {
    clearTimeout(watchdog);
    watchdog = setTimeout(giveUp, patience);
  }

  function connect() {
    disconnect();
    source = new EventSource(`${urls.stream}?since=${cursor}`);
    expectBeat(STREAM_WAIT, poll);
    let heard = false;
    const hear = (event) => {
      heard = true;
      succeeded();
      expectBeat(BEAT_WAIT, reconnect);
      if (event.type !== "beat")
        receive({ event: event.type, cursor: event.lastEventId, data: JSON.parse(event.data) });
    };
    for (const name of ["beat", "changes", "reload"]) source.addEventListener(name, hear);
    source.addEventListener("error", () => {
      showLost();
      // A browser comes back by itself from a cut connection, but not from a refusal; what never spoke, never will.
      if (source.readyState === EventSource.CLOSED || !heard) {
        disconnect();
        later(poll);
      } else {
        heard = false;
        expectBeat(STREAM_WAIT, poll);
      }
    });
  }

  /* After silence: whether what is shown is how things are, nobody knows until the server speaks again. */
  function reconnect() {
    showStatus("connecting");
    connect();
  }

  async function request(url, options, patience = POLL_WAIT) {
    const signal = AbortSignal.any([asking.signal, AbortSignal.timeout(patience)]);
    const reply = await fetch(url, { signal, ...options });
    if (!reply.ok) throw new Error(reply.statusText);
    return reply;
  }

  async function ask(query, patience) {
    const reply = await request(`${urls.poll}?since=${cursor}${query}`, { cache: "no-store" }, patience);
    const news = await reply.json();
    succeeded();
    if (news.events.length) news.events.forEach(receive);
    else cursor = news.cursor;
  }

  /* Do what asks the server, and try again with `next` if that fails, unless something else has been begun. */
  async function attempt(work, next) {
    disconnect();
    const current = (asking = new AbortController());
    try {
      await work(current.signal);
    } catch {
      if (current.signal.aborted) return;
      showLost();
      later(next);
    }
  }

  const poll = () =>
    attempt(async (signal) => {
      await ask("&wait=0", STREAM_WAIT); // whether it works: to be told at once
      for (let count = 0; count < POLLS && !signal.aborted; count++) await ask("");
      if (!signal.aborted) connect();
    }, connect);

  /* Everything again, as a reload would show it, and on from there: what is told meanwhile is in the page, or comes
   * after it. Not all readers in the same moment. */
  function reload() {
    disconnect();
    retry = setTimeout(attempt, Math.random() * 1500, showAgain, reload);
  }

  async function showAgain() {
    const reply = await request(location.href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    const board = document.adoptNode(page.getElementById("board"));
    localize(board);
    document.getElementById("board").replaceWith(board);
    cursor = board.dataset.cursor;
    connect();
  }

  function disconnect() {
    clearTimeout(retry);
    clearTimeout(watchdog);
    source?.close();
    asking?.abort();
  }

  localize(document);
  document.getElementById("zone").textContent =
    `Times are in your time zone (${moments.resolvedOptions().timeZone})`;
  showStatus("connecting");
  connect();
  addEventListener("online", connect);
  addEventListener("offline", showLost);
  // A page that the browser keeps for the way back must not hold its connection; what it misses is sent later.
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", (event) => {
    if (event.persisted) connect();
  });
})();
