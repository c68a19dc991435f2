// Photos that are zoomed: one OpenSeadragon viewer, whose pictures lie over one another and are shown by opacity.

import { NO_ANSWER } from "./api.js";

const OSD = window.OpenSeadragon;
const OPACITY = { mask: 0.6 }; // of layers that let those below through
const SMOOTH_BELOW = 0.999; // image pixels per screen pixel: smaller pictures are smoothed, true ones are not

OSD.console = { ...OSD.console, error: console.error.bind(console), warn() {} }; // of tiles of albums that were left

const tileUrl = (album, layer) => (level, column, row) =>
  `/tiles/${encodeURIComponent(album.name)}/${layer.kind}/${layer.number}/${layer.version}/${level}/${column}/${row}`;

const maxLevel = (layer) => Math.ceil(Math.log2(Math.max(layer.width, layer.height)));

const tileSource = (album, layer) => ({
  width: layer.width,
  height: layer.height,
  tileSize: album.tile.side,
  tileOverlap: album.tile.overlap,
  minLevel: 0,
  maxLevel: maxLevel(layer),
  getTileUrl: tileUrl(album, layer),
});

export const layerKey = (album, layer) => [album.name, layer.kind, layer.number, layer.version].join("/");

// Have the app read a layer at full size, before it is zoomed.
export const prepareFullSize = (album, layer) => fetch(tileUrl(album, layer)(maxLevel(layer), 0, 0)).catch(() => {});

// The layer changed since it was described; a newer description is on its way.
export class Outdated extends Error {}

export class Viewer {
  constructor(element) {
    this.osd = OSD({
      element,
      drawer: "canvas",
      tabIndex: -1, // its keys are the page's
      showNavigationControl: false,
      animationTime: 0.25,
      springStiffness: 8,
      minPixelRatio: 0.9,
      imageSmoothingEnabled: false,
      maxZoomPixelRatio: 8,
      minZoomImageRatio: 0.02, // small photos are shown at 100 % too
      visibilityRatio: 0.3,
      preserveImageSizeOnResize: true,
      imageLoaderLimit: 6,
      maxImageCacheCount: 600,
      timeout: 600000,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: false },
      gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: false },
    });
    this.items = new Map();
    this.mode = "fit"; // or "free"
    this.shown = "";
    this.onShown = () => {};
    this.onMove = () => {};
    this.onResize = () => {};
    this.osd.addHandler("canvas-key", (event) => { event.preventDefaultAction = true; });
    this.osd.addHandler("canvas-scroll", () => { this.mode = "free"; });
    this.osd.addHandler("canvas-drag", () => { this.mode = "free"; });
    this.osd.addHandler("canvas-pinch", () => { this.mode = "free"; });
    this.osd.addHandler("animation-finish", () => this.snap());
    this.osd.addHandler("viewport-change", () => { this.smooth(); this.onMove(); });
    this.osd.addHandler("resize", () => requestAnimationFrame(() => {
      if (this.mode === "fit") this.fit();
      this.onResize();
    }));
    this.pointer = null;
    const stage = element.parentElement; // the drawing lies over the element
    stage.addEventListener("pointermove", (event) => {
      const box = element.getBoundingClientRect();
      this.pointer = new OSD.Point(event.clientX - box.left, event.clientY - box.top);
    });
    stage.addEventListener("pointerleave", () => { this.pointer = null; });
  }

  get item() { return this.items.get(this.current)?.item; }

  // Add a layer without showing it; its tiles of the current view are loaded.
  load(album, layer) {
    const key = layerKey(album, layer);
    if (!this.items.has(key)) {
      const entry = { album: album.name, opacity: OPACITY[layer.kind] ?? 1, item: null, request: new AbortController() };
      entry.ready = this.add(entry, album, layer);
      entry.ready.catch(() => { if (this.items.get(key) === entry) this.items.delete(key); });
      this.items.set(key, entry);
    }
    return this.items.get(key).ready;
  }

  async add(entry, album, layer) {
    const { signal } = entry.request;
    const smallest = await fetch(tileUrl(album, layer)(0, 0, 0), { signal }).catch((error) => { // one request, also of a layer that has to be made first
      throw signal.aborted ? error : new Error(NO_ANSWER);
    });
    if (!smallest.ok) throw new Error((await smallest.json()).detail);
    if (smallest.status === 204) throw new Outdated();
    return new Promise((resolve, reject) => {
      this.osd.addTiledImage({
        tileSource: tileSource(album, layer),
        x: 0, y: 0, width: 1, opacity: 0, preload: true,
        success: ({ item }) => {
          entry.item = item;
          item.addHandler("fully-loaded-change", () => this.note());
          resolve(item);
        },
        error: ({ message }) => reject(new Error(message)),
      });
    });
  }

  // Show a layer, and another one of the same album over it.
  async show(album, layer, above = null) {
    const keys = [layer, above].filter(Boolean).map((one) => layerKey(album, one));
    this.wanted = keys.join(" ");
    const isWanted = () => this.wanted === keys.join(" ");
    let items;
    try {
      items = await Promise.all([layer, above].filter(Boolean).map((one) => this.load(album, one)));
    } catch (error) {
      if (isWanted()) throw error;
    }
    if (!isWanted()) return false;
    const isOther = this.album !== album.name;
    const before = isOther && this.item && this.mode === "free" ? this.place() : null;
    for (const { item, opacity } of this.items.values()) {
      if (!item) continue;
      item.setClip(null);
      item.setCompositeOperation("source-over");
      const isBelow = !above && !isOther && item === this.item; // until the new one is complete
      item.setOpacity(items.includes(item) || isBelow ? opacity : 0);
    }
    for (const item of items) this.osd.world.setItemIndex(item, this.osd.world.getItemCount() - 1);
    this.current = keys.at(-1);
    this.album = album.name;
    this.shown = "";
    if (before) this.moveTo(before);
    else if (isOther) this.fit();
    this.smooth();
    this.note();
    return true;
  }

  // Show nothing, rather than a picture of another album.
  clear() {
    this.wanted = this.current = this.album = "";
    for (const { item } of this.items.values()) item?.setOpacity(0);
  }

  // Give up what is not there yet of the albums that are not among these: it would hold up what is asked for now.
  abandon(names) {
    for (const [key, entry] of this.items) {
      if (!entry.item && !names.includes(entry.album)) this.drop(key, entry);
    }
  }

  // Forget the albums that are not among these.
  keep(names) {
    for (const [key, entry] of this.items) {
      if (!names.includes(entry.album)) this.drop(key, entry);
    }
  }

  drop(key, entry) {
    this.items.delete(key);
    entry.request.abort();
    entry.ready.then((item) => this.osd.world.removeItem(item), () => {});
  }

  // Tell when the current layer is completely on the screen.
  note() {
    if (!this.item?.getFullyLoaded() || this.shown) return;
    const key = this.current;
    this.osd.forceRedraw();
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (key !== this.current || this.shown) return;
      this.shown = key;
      this.onShown(key);
    }));
  }

  fit() {
    this.mode = "fit";
    if (this.item) this.osd.viewport.fitBounds(this.item.getBounds(), true);
  }

  get scale() { // screen pixels per image pixel
    return this.item ? this.item.viewportToImageZoom(this.osd.viewport.getZoom(true)) * devicePixelRatio : 1;
  }

  // Zoom to true pixels at a place of the picture, or at the pointer.
  zoomIn(place = null) {
    if (!this.item) return;
    this.mode = "free";
    const viewport = this.osd.viewport;
    const zoom = this.item.imageToViewportZoom(1 / devicePixelRatio);
    if (place) {
      viewport.panTo(this.item.imageToViewportCoordinates(place.x, place.y), true);
      viewport.zoomTo(zoom, null, true);
    } else {
      viewport.zoomTo(zoom, this.pointer ? viewport.pointFromPixel(this.pointer) : null, true);
    }
    viewport.applyConstraints(true);
    this.snap();
  }

  toggleZoom() {
    if (this.mode === "free" && this.scale > SMOOTH_BELOW) this.fit();
    else this.zoomIn();
  }

  // Put image pixels onto screen pixels where they are shown at 100 % or a multiple.
  snap() {
    if (!this.item || Math.abs(this.scale - Math.round(this.scale)) > 0.002 || this.scale < SMOOTH_BELOW) return;
    const corner = this.item.imageToViewerElementCoordinates(new OSD.Point(0, 0)).times(devicePixelRatio);
    const rest = new OSD.Point(corner.x - Math.round(corner.x), corner.y - Math.round(corner.y));
    if (Math.abs(rest.x) < 0.01 && Math.abs(rest.y) < 0.01) return;
    this.osd.viewport.panBy(this.osd.viewport.deltaPointsFromPixels(rest.divide(devicePixelRatio)), true);
  }

  smooth() {
    const smooth = this.scale < SMOOTH_BELOW;
    if (smooth === this.isSmooth) return;
    this.isSmooth = smooth;
    this.osd.drawer.setImageSmoothingEnabled(smooth);
  }

  // What is seen: the center as shares of the picture, and screen pixels per image pixel.
  place() {
    const center = this.item.viewportToImageCoordinates(this.osd.viewport.getCenter(true));
    const size = this.item.getContentSize();
    return { x: center.x / size.x, y: center.y / size.y, scale: this.scale, mode: this.mode };
  }

  moveTo(place) {
    if (!this.item) return;
    if (place.mode === "fit") { this.fit(); return; }
    this.mode = "free";
    const size = this.item.getContentSize();
    const zoom = this.item.imageToViewportZoom(place.scale / devicePixelRatio);
    this.osd.viewport.zoomTo(zoom, null, true);
    this.osd.viewport.panTo(this.item.imageToViewportCoordinates(place.x * size.x, place.y * size.y), true);
    this.snap();
  }

  // Hide the picture above left of a share of the width of the view.
  clipAbove(item, share) {
    const size = item.getContentSize();
    const width = this.osd.container.clientWidth;
    const left = item.viewerElementToImageCoordinates(new OSD.Point(share * width, 0)).x;
    const start = Math.min(Math.max(left, 0), size.x - 1);
    item.setClip(new OSD.Rect(start, 0, size.x - start, size.y));
  }

  toImage(x, y) {
    return this.item.viewerElementToImageCoordinates(new OSD.Point(x, y));
  }

  toElement(x, y) {
    return this.item.imageToViewerElementCoordinates(new OSD.Point(x, y));
  }
}
