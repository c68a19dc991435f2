// Drawing over the photo: lines of a brush, and outlines. Points are pixels of the picture.

const HALF = 0.5; // the center of the first pixel is at (0, 0)

export class Drawing {
  // onStroke(tool, points) is called when a line or an outline is complete.
  constructor(canvas, viewer, onStroke) {
    this.canvas = canvas;
    this.viewer = viewer;
    this.onStroke = onStroke;
    this.tool = "brush";
    this.radius = 20;
    this.points = [];
    this.pending = []; // strokes that are sent, until the mask that has them is on the screen
    this.pointer = null;
    this.grip = null; // where the photo is held to be moved
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.end(event));
    canvas.addEventListener("pointercancel", () => this.cancel());
    canvas.addEventListener("pointerleave", () => { this.pointer = null; this.draw(); });
    canvas.addEventListener("dblclick", () => this.close());
    canvas.addEventListener("wheel", (event) => this.zoom(event), { passive: false });
  }

  get active() { return !this.canvas.hidden; }

  open(tool) {
    this.tool = tool;
    this.points = [];
    this.canvas.hidden = false;
    this.draw();
  }

  hide() {
    this.canvas.hidden = true;
    this.points = [];
    this.pending = [];
  }

  cancel() {
    this.points = [];
    this.isDown = false;
    this.grip = null;
    this.draw();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  add(event) {
    const point = this.viewer.toImage(...this.place(event));
    this.points.push([point.x - HALF, point.y - HALF]);
  }

  begin(event) {
    if (event.button > 1) return;
    this.canvas.setPointerCapture(event.pointerId);
    if (event.button === 1 || event.shiftKey) { // moves the photo
      event.preventDefault();
      this.grip = this.place(event);
      return;
    }
    this.isDown = true;
    this.start = this.place(event);
    this.isDrag = this.tool === "brush";
    if (this.tool === "brush") this.points = [];
    this.add(event);
    this.draw();
  }

  move(event) {
    const place = this.place(event);
    this.pointer = place;
    if (this.grip) this.pan(place);
    if (this.isDown) {
      this.isDrag ||= Math.hypot(place[0] - this.start[0], place[1] - this.start[1]) > 5;
      if (this.isDrag) for (const part of event.getCoalescedEvents?.() ?? [event]) this.add(part);
    }
    this.draw();
  }

  end(event) {
    this.grip = null;
    if (!this.isDown) return;
    this.isDown = false;
    if (this.tool === "brush" || this.isDrag) this.close();
    else this.draw();
  }

  close() {
    const points = this.points;
    this.points = [];
    this.isDown = false;
    if (this.tool === "brush" ? points.length : points.length > 2) {
      this.pending.push({ tool: this.tool, points, radius: this.radius });
      this.onStroke(this.tool, points);
    }
    this.draw();
  }

  settle() {
    this.pending = [];
    this.draw();
  }

  pan([x, y]) {
    const { viewport } = this.viewer.osd;
    this.viewer.mode = "free";
    const step = new window.OpenSeadragon.Point(this.grip[0] - x, this.grip[1] - y);
    viewport.panBy(viewport.deltaPointsFromPixels(step), true);
    viewport.applyConstraints(true);
    this.grip = [x, y];
  }

  zoom(event) {
    event.preventDefault();
    const { viewport } = this.viewer.osd;
    this.viewer.mode = "free";
    const point = viewport.pointFromPixel(new window.OpenSeadragon.Point(...this.place(event)));
    viewport.zoomBy(event.deltaY < 0 ? 1.3 : 1 / 1.3, point);
    viewport.applyConstraints();
  }

  draw() {
    if (!this.active || !this.viewer.item) return;
    const { clientWidth, clientHeight } = this.canvas;
    this.canvas.width = clientWidth * devicePixelRatio;
    this.canvas.height = clientHeight * devicePixelRatio;
    const context = this.canvas.getContext("2d");
    context.scale(devicePixelRatio, devicePixelRatio);
    context.lineCap = context.lineJoin = "round";
    const scale = this.viewer.scale / devicePixelRatio;
    for (const stroke of this.pending) this.drawStroke(context, stroke, scale);
    if (this.points.length) this.drawStroke(context, { tool: this.tool, points: this.points, radius: this.radius }, scale);
    if (this.pointer && this.tool === "brush") {
      context.beginPath();
      context.arc(...this.pointer, Math.max(1, this.radius * scale), 0, 2 * Math.PI);
      context.lineWidth = 1.5;
      context.strokeStyle = "#fff";
      context.stroke();
      context.strokeStyle = "#000";
      context.setLineDash([3, 3]);
      context.stroke();
    }
  }

  drawStroke(context, { tool, points, radius }, scale) {
    context.beginPath();
    for (const [x, y] of points.length === 1 ? [points[0], points[0]] : points) {
      const place = this.viewer.toElement(x + HALF, y + HALF);
      context.lineTo(place.x, place.y);
    }
    context.strokeStyle = context.fillStyle = "rgb(204 121 167 / 60%)";
    if (tool === "brush") {
      context.lineWidth = Math.max(1, 2 * radius * scale);
    } else {
      context.fill();
      context.lineWidth = 2;
    }
    context.stroke();
  }
}
