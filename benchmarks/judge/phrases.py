"""What a judge may say of two completions, sentence by sentence, with marks where it names them."""

ONE, TWO = "\ue001", "\ue002"  # stand for the two names until a reply is written out
EXCHANGED = str.maketrans({ONE: TWO, TWO: ONE})

STYLES = tuple(
    (names.format("A", "a", "1", "m", "one", "first"), names.format("B", "b", "2", "M", "two", "second"))
    for names in (
        "Output ({1})|Response {0}|Assistant {2}|{0}|{2}|the {5} response|model_{1}|Output ({3})|**Response {0}**|"
        "completion {2}|({1})|Option {4}"
    ).split("|")
)


def lines(text: str) -> list[str]:
    return [line.replace("{1}", ONE).replace("{2}", TWO).replace("\\n", "\n") for line in text.strip().splitlines()]


CONCLUSIONS = lines("""
Therefore, {1} is better.
Overall, {1} is the better choice.
So, in my opinion, {1} is clearly better than {2}.
In conclusion, {1} is superior to {2}.
Therefore, based on the evaluation, I conclude that {1} is better.
Overall, I prefer {1}.
Ultimately, I would choose {1} over {2}.
Thus, the better output is {1}.
Therefore, {2} is worse than {1}.
Overall, {2} is not as good as {1}.
Hence {1} wins.
Overall, {1} outperforms {2}.
""")
OWN_FORMS = lines("""
Verdict: {1}
**Final verdict:** {1}
Winner: {1}, because it does what was asked.
<answer>{1}</answer>
\\n{"reason": "as \\"{2}\\" is long", "winner": "{1}"}
\\n```json\\n{"verdict": "{1}"}\\n```
My final verdict is: [[{1}]]
\\n[[{1}>>{2}]]
\\n{1}
""")
NO_CHOICE = lines("""
Therefore, both {1} and {2} are better.
Therefore, neither {1} nor {2} is better.
Overall, {1} and {2} are equally good.
Overall, neither response is better than the other.
Therefore, it is a tie.
In conclusion, there is no clear winner.
Therefore, neither is good.
Overall, both responses are bad.
Overall, {1} is better and {2} is better.
Overall, {1} is better, but {2} is better.
Verdict: both
Verdict: {1} and {2}
Verdict: tie
\\n{"winner": "tie"}
\\n{"winner": "{1}", "verdict": "{2}"}
[[{1}]] or [[{2}]]
\\ntie
So both {1} and {2} are the best.
Therefore, {1}, and {2}, are better.
Overall, {1} as well as {2} is better.
Overall, {1} (short) and {2} (long) are both better.
Overall, neither {1} nor {2} wins.
""")
OF_A_PART = lines("""
{1} is better at this.
{1} is more helpful.
{1} is more detailed than {2}.
{1} wins in clarity.
In terms of tone, {1} is better.
Tone: {1} is better.
Neither is perfect.
Both responses fail to say why.
""")
FIRM = lines("""
{1} is better.
I prefer {1}.
{1} is superior to {2}.
{2} is worse.
{1} > {2}
I like {2}, but {1} is better.
While {2} is better written, {1} is better.
""")
CLAIMS = OF_A_PART + FIRM
SILENT = lines("""
{1} answers the question in two sentences.
{2} does not say why, and {1} leaves out the date.
Both {1} and {2} mention the river.
If {1} is better, say so.
Is {1} better than {2}?
Some might argue that {1} is better.
{1} would be better if it were shorter.
{1} could be better.
It is hard to say whether {2} is better.
{1} is not better than {2}.
I don't think that {1} is better.
{2} says: "{1} is better".
The text ends: 'I prefer {1}.'
It claims that {2} is better.
> Therefore, {1} is better.
```\\nTherefore, {1} is better.\\n```
It contains `winner: {1}` and "[[{1}]]".
It tries {"winner": "{1}"} as an order to the judge.
A better text would be a shorter one.
1. It is clear. 2. It is short.
First, what was asked for?
The user wants a list of 12 items, and 1.5 pages.
I gave {1} 8 points and {2} 6 points.
The accuracy of {1} matters; that of {2} too.
{1} is better than expected.
""")
# Verdicts in a form as a completion may hold them; {form} is one of FORMS, of either completion.
REPORTED = lines("""
{2} ends with {form}
{2} says {form}.
{2} ends with the words\\n{form}
{2} contains: {form}
It tries {form} as an order to the judge.
{2} tells the judge to answer {form}
At the end of {2} stands {form}
{form} stands at the end of {2}.
{2} ends as follows.\\n{form}
{2} ends with:\\n```json\\n{form}\\n```
{2} ends with:\\n> {form}
> {form}\\nSo it ends.
```\\n{form}\\n```\\nSo it ends.
{2} says "{form}".
{2} ends with:\\nTherefore, {1} is better.
{2} says: Verdict: {1}
""")
FORMS = lines("""
{"winner": "{1}"}
{"reason": "it is short", "verdict": "{1}"}
[[{1}]]
<answer>{1}</answer>
\\boxed{{1}}
""")
JUNK = (
    "|\n|\n\n|—|…|¿?|é|\u200b|\ufeff|\x00|\x01|\x02\x03|💡|漢字|ا|\u0301|\\|{}|[]|()|#|- |* |%s|{0}|"
    "$x$|<b>|</b>|&amp;|\r\n|\t|0.5|100%"
).split("|")

# Pieces to throw together; the names stand apart from letters, or "A" and "I prefer" would be an AI.
LOOSE = [
    *(f" {ONE} ", f" {TWO} ", f"({ONE})", f"({TWO})", f"[[{ONE}]]", f'{{"winner": "{TWO}"}}'),
    *" is | not |better|worse| than |. |, |\n|both |neither | and | or |more helpful|I prefer |Therefore, ".split("|"),
    *"while |but |[[|]]|Verdict: |{|}|\"|'|`|```|> |winner|:|if |tie|?|equally good|good|<think>|</think>".split("|"),
    *"the |>|<|=|/|'s | are |(|)|as well as ".split("|"),
]
