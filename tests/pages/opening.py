"""Opens the page of a trace in a browser, and reads what it shows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from playwright.sync_api import BrowserContext, ConsoleMessage, Page

from diembft.pages.data import PageData
from diembft.pages.page import write_page
from diembft.pages.prepare import prepare
from diembft.trace.records import Record

TIMEOUT_MS = 20_000


class Opener:
    """Opens pages one after the other, and notes what goes wrong in them."""

    def __init__(self, browser: BrowserContext, folder: Path) -> None:
        self._browser = browser
        self._folder = folder
        self._pages: list[Page] = []
        self.problems: list[str] = []
        self.requests: list[str] = []

    def __call__(self, trace: Iterable[Record], rounds: tuple[int, int] | None = None) -> Shown:
        """Open the page of a trace."""
        data = prepare(trace, rounds)
        path = self._folder / f"run{len(self._pages)}.html"
        write_page(path, data)
        page = self._browser.new_page()
        self._pages.append(page)
        page.set_default_timeout(TIMEOUT_MS)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: self.problems.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("#diagram .lane", state="attached")
        return Shown(page, data, path)

    def close(self) -> None:
        """Close all pages."""
        for page in self._pages:
            page.close()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(message.text)


class Shown:
    """A page in the browser, with the data that it was made of."""

    def __init__(self, page: Page, data: PageData, path: Path) -> None:
        self.page = page
        self.data = data
        self.path = path

    def text(self, selector: str) -> str:
        """The text of an element."""
        return self.page.inner_text(selector)

    def texts(self, selector: str) -> list[str]:
        """The texts of all elements that match."""
        texts: list[str] = self.page.eval_on_selector_all(
            selector, "(elements) => elements.map((element) => element.innerText ?? element.textContent)"
        )
        return texts

    def count(self, selector: str) -> int:
        """How many elements match."""
        return len(self.page.query_selector_all(selector))

    def arrows(self) -> int:
        """How many arrows are in view, once the picture is drawn anew."""
        self.settle()
        return int(self.page.get_attribute("#messages", "data-arrows") or "-1")

    def settle(self) -> None:
        """Wait until the picture is drawn: two frames."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def step(self) -> int:
        """The step of replay, from 0."""
        return int(self.page.input_value("#slider"))

    def click_lane(self, node: int, x: float) -> None:
        """Click on a node's lane: at `x`, or the first place from there that is not near an arrow or a mark."""
        place = self.page.evaluate(
            """([node, wanted]) => {
                const lane = document.querySelector(`[data-lane="${node}"] rect`).getBoundingClientRect();
                const y = lane.top + lane.height / 2;
                const drawn = [...document.querySelectorAll("#marks *")].map((one) => one.getBoundingClientRect());
                const marks = drawn.filter((box) => box.top - 9 <= y && y <= box.bottom + 9);
                const svg = document.getElementById("diagram").getBoundingClientRect();
                const crossings = [...document.querySelectorAll("line[data-message]")].flatMap((line) => {
                    const [x1, y1, x2, y2] = ["x1", "y1", "x2", "y2"].map((name) => Number(line.getAttribute(name)));
                    const share = (y - svg.top - y1) / (y2 - y1);
                    return -0.3 < share && share < 1.3 ? [svg.left + x1 + share * (x2 - x1)] : [];
                });
                const crossed = (x) => crossings.some((other) => Math.abs(other - x) < 12);
                const marked = (x) => marks.some((box) => box.left - 9 <= x && x <= box.right + 9);
                let x = wanted;
                while (x < svg.right && (crossed(x) || marked(x))) x++;
                return [x, y];
            }""",
            [node, x],
        )
        self.page.mouse.click(*place)

    def click_arrow(self, message: int, delivery: int) -> None:
        """Click on an arrow, a third of its way from its beginning."""
        box = self.page.evaluate(
            """([message, delivery]) => {
                const line = document.querySelector(`[data-message="${message}"][data-delivery="${delivery}"]`);
                const svg = document.getElementById("diagram").getBoundingClientRect();
                const third = (from, to) => (2 * Number(line.getAttribute(from)) + Number(line.getAttribute(to))) / 3;
                return [svg.left + third("x1", "x2"), svg.top + third("y1", "y2")];
            }""",
            [message, delivery],
        )
        self.page.mouse.click(box[0], box[1])
