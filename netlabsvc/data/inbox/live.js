// Shows times in the reader's own zone, and keeps the list as it is in the store while it is looked
// at. The pages work without it.
// New rows come out of the page itself, read anew: what a row looks like is known in one place.
"use strict";

const lamp = document.getElementById("lamp");
const lampText = document.getElementById("lamp-text");
const news = document.getElementById("news");
const PAUSE_MS = 2000; // between two readings: a class has many pages open
const AGAIN_MS = 10000; // after a refusal, such as that too many pages listen
const STREAM = new URL("api/events", document.currentScript.src);

function light(on) {
  lamp.hidden = false;
  lamp.classList.toggle("on", on);
  lampText.textContent = on ? lamp.dataset.on : lamp.dataset.off;
}

function localTimes(root) {
  for (const time of root.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    const today = at.toDateString() === new Date().toDateString();
    time.title = time.textContent;
    time.textContent = today ? at.toLocaleTimeString() : at.toLocaleString();
  }
}

function rowsOf(root) {
  return new Map([...root.querySelectorAll("#rows > tr")].map((row) => [row.dataset.id, row]));
}

// Takes rows that are gone out and puts new ones in; those that stay keep focus and check marks.
function merge(fresh) {
  const body = document.getElementById("rows");
  const freshBody = fresh.getElementById("rows");
  if (!body || !freshBody) {
    document.getElementById("list").replaceWith(fresh.getElementById("list"));
    localTimes(document.getElementById("list"));
    return;
  }
  const old = rowsOf(document);
  const now = rowsOf(fresh);
  for (const [id, row] of old) {
    if (!now.has(id)) row.remove();
  }
  let place = null;
  for (const [id, row] of now) {
    let here = old.get(id);
    if (!here) {
      here = document.adoptNode(row);
      here.classList.add("new");
      localTimes(here);
      if (place) place.after(here);
      else body.prepend(here);
    }
    place = here;
  }
}

let reading = false;
let wanted = false;

async function readAgain() {
  wanted = true;
  if (reading) return;
  reading = true;
  while (wanted && !document.hidden) {
    wanted = false;
    try {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (answer.ok) {
        merge(new DOMParser().parseFromString(await answer.text(), "text/html"));
      }
    } catch {
      light(false);
    }
    await new Promise((done) => setTimeout(done, PAUSE_MS));
  }
  reading = false;
}

let events = null;
let cutOff = false;

function listen() {
  if (events || document.hidden) return;
  events = new EventSource(STREAM);
  events.onopen = () => {
    light(true);
    if (cutOff) readAgain();
  };
  events.onerror = () => {
    light(false);
    cutOff = true;
    if (events.readyState !== EventSource.CLOSED) return; // it comes back by itself
    silence();
    setTimeout(listen, AGAIN_MS * (1 + Math.random()));
  };
  events.addEventListener("mail", (event) => {
    const mail = JSON.parse(event.data);
    news.textContent = `${news.dataset.new}: ${mail.subject || mail.mail_from || ""}`;
    readAgain();
  });
  events.addEventListener("gone", readAgain);
  events.addEventListener("missed", readAgain);
}

function silence() {
  if (events) events.close();
  events = null;
  cutOff = true;
}

localTimes(document);
if (lamp) {
  listen();
  // A browser has few connections to one machine: pages in the background give theirs back.
  document.addEventListener("visibilitychange", () => (document.hidden ? silence() : listen()));
  window.addEventListener("pagehide", silence);
}
