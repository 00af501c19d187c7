"use strict";

// Milliseconds before the first attempt to connect again, and before a later one at most. A little
// chance is added, so that not all come back at once when a server was restarted.
const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 5000;

const find = (id) => document.getElementById(id);
const outbox = new Map(); // key -> text: what the server has not sent back yet
let last = 0; // the id of the newest message
let pause = FIRST_PAUSE;
let socket = null;
let retry = null;
let name = sessionStorage.getItem("name"); // of this tab, so that two tabs may be two people

// The connection. It says what it has seen last, and is sent what came after; what was not sent
// back is sent again, and the server knows by its key whether it had that already.

function connect() {
  clearTimeout(retry);
  const query = new URLSearchParams({ name, after: last });
  const url = new URL(`${document.body.dataset.socket}?${query}`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  socket = new WebSocket(url);
  socket.addEventListener("message", (event) => take(JSON.parse(event.data)));
  socket.addEventListener("close", lost);
}

function lost({ reason }) {
  show("reconnecting", reason ? `reconnecting… (${reason})` : "reconnecting…");
  retry = setTimeout(connect, pause * (1 + Math.random() / 2));
  pause = Math.min(2 * pause, LONGEST_PAUSE);
}

function show(state, text) {
  const status = find("status");
  status.dataset.state = state;
  status.textContent = text;
}

function take(item) {
  if (item.type === "welcome") {
    pause = FIRST_PAUSE;
    show("live", "live");
    item.messages.forEach(add);
    outbox.forEach(send);
  } else if (item.type === "message") {
    add(item);
  } else if (item.type === "members") {
    const names = item.members.map((member) => element("li", member));
    find("members").replaceChildren(...names);
  }
}

function send(text, key) {
  socket.send(JSON.stringify({ text, key }));
}

// The messages. Whatever people write goes into the page as text, never as markup.

function element(kind, text, className = "") {
  const made = document.createElement(kind);
  made.textContent = text;
  made.className = className;
  return made;
}

function row(who, text, when) {
  const made = element("li", "", who === name ? "own" : "");
  made.append(element("b", who), element("time", when), element("p", text));
  return made;
}

function add(message) {
  if (message.id <= last) {
    return;
  }
  last = message.id;
  const date = new Date(message.id);
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const made = row(message.name, message.text, time);
  made.dataset.id = message.id;
  outbox.delete(message.key);
  document.querySelector(`[data-key="${CSS.escape(message.key)}"]`)?.remove();
  place(made);
}

function place(made) {
  const list = find("messages");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  const waiting = list.querySelector(".waiting");
  list.insertBefore(made, made.className.includes("waiting") ? null : waiting);
  if (atEnd || made.className.includes("own")) {
    list.scrollTop = list.scrollHeight;
  }
}

function say(event) {
  event.preventDefault();
  const text = find("text").value.trim();
  if (!text) {
    return;
  }
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  const key = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const made = row(name, text, "sending…");
  made.className = "own waiting";
  made.dataset.key = key;
  place(made);
  outbox.set(key, text);
  find("text").value = "";
  if (find("status").dataset.state === "live" && socket.readyState === WebSocket.OPEN) {
    send(text, key);
  }
}

// Coming in.

function enter() {
  find("enter").hidden = Boolean(name);
  find("say").hidden = !name;
  find(name ? "text" : "name").focus();
  if (name) {
    connect();
  } else {
    show("outside", "not in yet");
    find("name").value = localStorage.getItem("name") ?? "";
  }
}

find("say").addEventListener("submit", say);
find("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  name = find("name").value.trim().replace(/\s+/g, " ");
  if (name) {
    sessionStorage.setItem("name", name);
    localStorage.setItem("name", name);
    enter();
  }
});
addEventListener("online", () => {
  if (socket?.readyState === WebSocket.CLOSED) {
    connect();
  }
});
enter();
