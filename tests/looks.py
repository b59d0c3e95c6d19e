"""How a page looks on a given screen, and what is wrong with it. Screenshots go to var/screenshots."""

from contextlib import contextmanager

from app.settings import ROOT

SCREENSHOTS = ROOT / "var" / "screenshots"
HEIGHT = 844
TALLEST = 3000


@contextmanager
def screen(chrome, width, scheme):
    """A phone's or a desktop's width, light or dark."""
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    set_size(chrome, width, HEIGHT)
    yield
    chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def set_size(chrome, width, height):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def keep_screenshot(chrome, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    assert chrome.save_screenshot(str(SCREENSHOTS / f"{name}.png"))


def keep_whole_screenshot(chrome, width, name):
    """Keep one of the whole page, up to TALLEST."""
    height = chrome.execute_script("return document.documentElement.scrollHeight")
    set_size(chrome, width, min(height, TALLEST))
    keep_screenshot(chrome, name)
    set_size(chrome, width, HEIGHT)


# The relative luminance of an element's text and of what is behind it: WCAG 2.2, section 1.4.3.
CONTRAST = """
const channels = (color) => color.match(/[\\d.]+/g).map(Number);
const luminance = (color) => {
  const [r, g, b] = channels(color).map((c) => c / 255).map(
    (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (; element; element = element.parentElement) {
    const color = getComputedStyle(element).backgroundColor;
    if (channels(color)[3] !== 0) return color;
  }
  return "rgb(255, 255, 255)";
};
const weak = [];
for (const element of document.querySelectorAll("body *")) {
  const text = Array.from(element.childNodes).some((node) => node.nodeType === 3 && node.data.trim());
  if (!text || !element.checkVisibility()) continue;
  const pair = [luminance(getComputedStyle(element).color), luminance(behind(element))].sort((a, b) => b - a);
  const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
  if (contrast < 4.5) weak.push(`${element.className || element.tagName}: ${contrast.toFixed(2)}`);
}
return weak;
"""

# What Lighthouse and similar tools ask of any page; each entry is a complaint.
BASICS = """
const complaints = [];
if (document.querySelectorAll("h1").length !== 1) complaints.push("not one h1");
if (!document.documentElement.lang) complaints.push("no language");
if (!document.title) complaints.push("no title");
for (const image of document.images) if (!image.hasAttribute("alt")) complaints.push(`no alt: ${image.src}`);
for (const link of document.links)
  if (!(link.innerText || link.ariaLabel || "").trim()) complaints.push(`no text: ${link.href}`);
for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
  if (!field.labels.length) complaints.push(`no label: ${field.name}`);
const ids = Array.from(document.querySelectorAll("[id]"), (element) => element.id);
if (new Set(ids).size !== ids.length) complaints.push("an id twice");
const headings = document.querySelectorAll("h1, h2, h3, h4");
const levels = Array.from(headings, (heading) => Number(heading.tagName[1]));
if (levels.some((level, n) => n && level > levels[n - 1] + 1)) complaints.push("a heading is too deep");
for (const { name } of performance.getEntriesByType("resource"))
  if (!name.startsWith(location.origin)) complaints.push(`from elsewhere: ${name}`);
return complaints;
"""
