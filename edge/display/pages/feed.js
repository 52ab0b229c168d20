// What the station says, as it says it, and whether it still does.

const SILENT_MS = 5000; // the connection may be half open: try another
const AGAIN_MS = 1000;

export class Feed {
  constructor(handlers) {
    this.handlers = handlers;
    this.heard = performance.now();
    this.failed = false;
    this.open();
    setInterval(() => this.watch(), 500);
  }

  open() {
    this.source?.close();
    this.opened = performance.now();
    this.source = new EventSource("api/v1/events");
    for (const name of ["state", "details", "beat"]) {
      this.source.addEventListener(name, (event) => {
        this.heard = performance.now();
        this.hand(name, event.data);
      });
    }
  }

  // A state that cannot be drawn stops the signs of life: the page then calls itself stale.
  hand(name, data) {
    if (name === "beat" && this.failed) return;
    try {
      this.handlers[name](JSON.parse(data));
      if (name === "state") this.failed = false;
    } catch (error) {
      this.failed = true;
      console.error(error);
    }
  }

  watch() {
    const now = performance.now();
    const dead = this.source.readyState === EventSource.CLOSED && now - this.opened > AGAIN_MS;
    const silent = now - this.heard > SILENT_MS && now - this.opened > SILENT_MS;
    if (dead || silent) this.open();
  }
}
