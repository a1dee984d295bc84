/**
 * @file A Modelfile for Ollama. A chat template is Jinja here and a Go template there; only templates that write what a known
 * format writes are told to it. Format: docs/modelfile.md and docs/template.md of https://github.com/ollama/ollama
 */
import { UserError } from '../base/errors.ts'
import type { Tokenizer } from '../text/tokenizer.ts'

/** A way to write conversations: what stands before and after each message, by role. */
interface ChatFormat {
  readonly name: string
  readonly roles: Readonly<Record<'system' | 'user' | 'assistant', readonly [before: string, after: string]>>
  /** In Go. */
  readonly template: string
}

const framed = (role: string): readonly [string, string] => [`<|im_start|>${role}\n`, '<|im_end|>\n']
const headed = (role: string): readonly [string, string] => [
  `<|start_header_id|>${role}<|end_header_id|>\n\n`,
  '<|eot_id|>',
]
const titled = (role: string): readonly [string, string] => [`<|${role}|>\n`, '</s>\n']

const formats: readonly ChatFormat[] = [
  {
    name: 'ChatML',
    roles: { system: framed('system'), user: framed('user'), assistant: framed('assistant') },
    template:
      '{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n',
  },
  {
    name: 'Llama 3',
    roles: { system: headed('system'), user: headed('user'), assistant: headed('assistant') },
    template:
      '{{- range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n{{ .Content }}<|eot_id|>{{ end }}' +
      '<|start_header_id|>assistant<|end_header_id|>\n\n',
  },
  {
    name: 'Zephyr',
    roles: { system: titled('system'), user: titled('user'), assistant: titled('assistant') },
    template: '{{- range .Messages }}<|{{ .Role }}|>\n{{ .Content }}</s>\n{{ end }}<|assistant|>\n',
  },
]

export interface OllamaChat {
  /** Of the format. */
  readonly name: string
  readonly template: string
  /** What the model's template says where nobody does. */
  readonly system: string | undefined
}

type Talk = readonly { readonly role: 'system' | 'user' | 'assistant'; readonly content: string }[]

const question: Talk = [{ role: 'user', content: 'Why?' }]
const longTalk: Talk = [
  { role: 'system', content: 'Be brief.' },
  ...question,
  { role: 'assistant', content: 'So.' },
  { role: 'user', content: 'And then?' },
]

/** The format in which a model's chat template writes a question, and a longer conversation; undefined for none that is known. */
export function recogniseChat(tokenizer: Tokenizer): OllamaChat | undefined {
  if (!tokenizer.hasChatTemplate) return undefined
  // Where texts begin with BOS, Ollama puts it in front by itself.
  const bos = tokenizer.addsBos && tokenizer.bosId !== undefined ? tokenizer.token(tokenizer.bosId) : ''
  const render = (talk: Talk): string => {
    const text = tokenizer.renderChat(talk, { addGenerationPrompt: true })
    return bos !== '' && text.startsWith(bos) ? text.slice(bos.length) : text
  }
  const [alone, long] = [render(question), renderIfTaken(render, longTalk)]
  for (const { name, roles, template } of formats) {
    const written = (talk: Talk): string =>
      talk.map(({ role, content }) => roles[role].join(content)).join('') + roles.assistant[0]
    if (long !== written(longTalk) || !alone.endsWith(written(question))) continue
    const before = alone.slice(0, alone.length - written(question).length)
    if (before === '') return { name, template, system: undefined }
    const [start, end] = roles.system
    const isSystem = before.startsWith(start) && before.endsWith(end)
    const system = before.slice(start.length, before.length - end.length)
    // A text that would end its quotes is nothing to write into a Modelfile.
    if (isSystem && !system.includes('"""') && !system.endsWith('"')) return { name, template, system }
  }
  return undefined
}

/** Templates may refuse system messages: those are none that are known. */
function renderIfTaken(render: (talk: Talk) => string, talk: Talk): string | undefined {
  try {
    return render(talk)
  } catch (error) {
    if (error instanceof UserError) return undefined
    throw error
  }
}

export interface ModelfileFacts {
  /** A folder, a .gguf file, or the name of a model that Ollama has. */
  readonly from: string
  /** A PEFT folder on it. */
  readonly adapter?: string
  readonly chat: OllamaChat | undefined
  /** Texts that end an answer. */
  readonly stops: readonly string[]
}

/** The texts of the tokens that end an answer, those that a Modelfile can hold. */
export function stopTexts(tokenizer: Tokenizer): string[] {
  const ends = [...tokenizer.eosIds, ...(tokenizer.endOfTurnId === undefined ? [] : [tokenizer.endOfTurnId])]
  return [...new Set(ends)].map(tokenizer.token).filter((text) => /^[^"\p{Cc}]+$/u.test(text))
}

/** A path as one line; quotes only where it needs them. */
function pathText(path: string): string {
  return /\s/.test(path) ? `"${path}"` : path
}

export function modelfileText({ from, adapter, chat, stops }: ModelfileFacts): string {
  return [
    `FROM ${pathText(from)}`,
    ...(adapter === undefined ? [] : [`ADAPTER ${pathText(adapter)}`]),
    ...(chat === undefined
      ? [
          '# No TEMPLATE: the chat template of this model is none that stepdpo knows. Ollama looks for one that is like it.',
        ]
      : [`# ${chat.name}`, `TEMPLATE """${chat.template}"""`]),
    ...(chat?.system === undefined ? [] : [`SYSTEM """${chat.system}"""`]),
    ...stops.map((stop) => `PARAMETER stop "${stop}"`),
    '',
  ].join('\n')
}

/** Of our families, those whose adapters Ollama converts (convert/convert.go). */
const ADAPTER_FAMILIES: readonly string[] = ['llama', 'mistral']

/** Why Ollama would not compute what an adapter computes; undefined where it does. */
export function adapterProblem(
  family: string,
  settings: { readonly rslora: boolean; readonly alpha: number },
): string | undefined {
  if (!ADAPTER_FAMILIES.includes(family)) return `Ollama takes adapters of ${ADAPTER_FAMILIES.join(', ')} models only`
  if (settings.rslora) return 'Ollama scales by alpha / rank, and this adapter by alpha / √rank (use_rslora)'
  if (!Number.isInteger(settings.alpha)) return `Ollama reads lora_alpha as a whole number, found ${settings.alpha}`
  return undefined
}
