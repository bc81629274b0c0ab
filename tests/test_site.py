"""The site of the guide builds without a warning, says what it should, and reads in a browser."""

import importlib
import inspect
import re
import runpy
import shutil
import subprocess
import sys

import pytest
from drawing import some
from guide import ROOT

pytest.importorskip("mkdocs", reason="the site needs pip install 'kerasar[docs]'")
pytest.importorskip("mkdocstrings", reason="the site needs pip install 'kerasar[docs]'")

REFERENCE = runpy.run_path(str(ROOT / "docs" / "hooks" / "reference.py"))["reference"]()
SYSTEMS = sorted(path.stem for path in (ROOT / "docs" / "systems").glob("*.md"))

#: The pages that a reader meets first.
MAIN = [
    "index",
    "data",
    "own_networks",
    "anomalies",
    "forecasting",
    "errors",
    "coming_from",
    "systems/gated_pixelcnn",
    "notebooks/images",
    "reference/scores",
]


def test_each_argument_of_a_public_function_is_in_its_docstring():
    for room, names in REFERENCE.items():
        for name in names:
            known = getattr(importlib.import_module(room), name)
            if not inspect.isfunction(known):
                continue
            words = set(re.findall(r"\w+", inspect.getdoc(known) or ""))
            missing = set(inspect.signature(known).parameters) - words
            assert not missing, f"{room}.{name}: {missing}"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def page(site):
    return lambda name: (site / f"{name}.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", REFERENCE)
def test_every_public_name_is_in_the_reference(module, page):
    written = page(f"reference/{module.removeprefix('kerasar.')}")
    for name in REFERENCE[module]:
        assert hasattr(importlib.import_module(module), name)
        described = f'id="{module}.{name}"' in written
        linked = f'href="kerasar.html#kerasar.{name}"' in written
        assert described != linked, f"{module}.{name}"


def test_an_entry_says_what_its_docstring_says(page):
    start = page("reference/layers").split('id="kerasar.layers.CausalShift"')[1]
    text = re.sub(r"<[^>]+>|\s+", " ", start[:9000])
    for said in ("towards later positions", "Input shape", "Output shape", "Raises:", "References"):
        assert said in text, said
    assert 'href="https://arxiv.org/abs/1606.05328"' in start[:9000]
    assert '<span class="gp">&gt;&gt;&gt; ' in page("reference/models"), "doctests are code"
    assert "log_prob_map" in page("reference/kerasar"), "what a class inherits is described too"


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_page_of_a_system_has_its_formula_and_figures(name, page):
    written = page(f"systems/{name}")
    assert "<math" in written and "arithmatex" not in written and "$$" not in written
    assert "<!-- measured" not in written
    assert name == "index" or "Reported and reached" in written


def test_figures_are_those_of_the_results_page(page):
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    (row,) = [line for line in results.split("\n") if line.startswith("| NADE, 500 hidden units")]
    reached = row.split("|")[3].strip().replace("**", "")
    text = re.sub(r"<[^>]+>", "", page("systems/nade"))
    assert reached in text


def test_figures_that_do_not_exist_are_refused():
    from mkdocs.exceptions import PluginError

    rows = runpy.run_path(str(ROOT / "docs" / "hooks" / "measured.py"))["rows"]
    assert len(rows("Binarized MNIST", "NADE,")) == 3
    for section, pattern in [("Binarized", "NADE"), ("Binarized MNIST", "NICE")]:
        with pytest.raises(PluginError, match="no section"):
            rows(section, pattern)


def test_a_formula_becomes_mathml():
    translate = runpy.run_path(str(ROOT / "docs" / "hooks" / "formulas.py"))["on_page_content"]
    inline = translate(r'a <span class="arithmatex">\(x_{i} &lt; 1\)</span> b')
    assert re.sub(r" xmlns=\S+?>", ">", inline).startswith('a <span class="formula"><math')
    assert "<msub>" in inline and inline.endswith("</span> b") and "arithmatex" not in inline
    spaced = translate(r'<span class="arithmatex">\(\log p(x)\)</span>')
    assert "<mi>log</mi><mspace" in spaced and "<mi>p</mi><mo" in spaced
    assert 'display="block"' in translate(r'<div class="arithmatex">\[y\]</div>')


def test_links_out_of_the_guide_lead_to_pages(page):
    assert 'href="examples/compression_client.html"' in page("compression")
    assert 'href="benchmarks/notebook.html"' in page("results")
    assert 'href="engine.html"' in page("contributing")
    assert "QUEUE.RangeEncoder()" in re.sub(r"<[^>]+>", "", page("examples/compression_client"))


def test_nothing_is_loaded_from_elsewhere(site):
    for file in site.rglob("*.html"):
        written = file.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="?(https?:[^">\s]*)', written)
        loaded += re.findall(r'<link[^>]*rel="?(?!canonical)[^>]*href="?(https?:[^">\s]*)', written)
        assert not loaded, file


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium on this machine")
    alone = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=chromium, args=alone)
        yield opened
        opened.close()


@pytest.fixture(scope="module", params=some(["light", "dark"], ["light"]))
def tab(request, browser):
    """A page without a network, and the list of what its console says."""
    context = browser.new_context(color_scheme=request.param, offline=True)
    opened, said = context.new_page(), []
    opened.set_default_timeout(120_000)
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    yield opened, said
    context.close()


@pytest.mark.parametrize("name", MAIN)
def test_a_page_reads_in_a_browser(name, site, tab):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    opened, said = tab
    said.clear()
    opened.set_viewport_size({"width": 390, "height": 844})
    opened.goto(f"file://{site}/{name}.html")
    assert opened.evaluate("document.documentElement.scrollWidth") == 390
    missing = "[...document.images].filter(image => !image.naturalWidth).map(image => image.src)"
    opened.evaluate("Promise.all([...document.images].map(i => i.decode().catch(() => 0)))")
    assert opened.evaluate(missing) == []
    violations = axe.run(opened, options={"runOnly": ["color-contrast"]}).response["violations"]
    assert not violations, [node["html"] for rule in violations for node in rule["nodes"]]
    assert not said


def test_the_search_works_from_the_disk(site, tab):
    opened, said = tab
    said.clear()
    opened.set_viewport_size({"width": 1200, "height": 900})
    opened.goto(f"file://{site}/index.html")
    opened.locator(".md-search__input").fill("blind spot")
    found = opened.locator(".md-search-result__link")
    found.first.wait_for(state="attached")
    assert any("pixelcnn" in link for link in found.evaluate_all("all => all.map(a => a.href)"))
    assert not said
