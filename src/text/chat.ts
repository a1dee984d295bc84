/** @file Conversations as a model was taught to read them: its chat template, and the token that ends a turn. */
import { UserError } from '../base/errors.ts'
import { compileTemplate } from './template.ts'
import type { TokenizerSource } from './tokenizer-source.ts'

/** One turn of a conversation. */
export interface ChatMessage {
  readonly role: string
  readonly content: string
}

export interface Chat {
  /** Whether the model brings a template. */
  readonly hasTemplate: boolean
  /** @throws UserError where there is no template, or it refuses the messages. */
  render(messages: readonly ChatMessage[], options: { readonly addGenerationPrompt: boolean }): string
  /** What the template writes after the content of an assistant's message; '' where there is no template. */
  readonly afterAnswer: string
}

/** A word that no template takes for anything else. */
const MARKER = 'stepwise'

/**
 * The chat template of a tokenizer, with the variables that transformers gives it (apply_chat_template). `now` is the
 * date that templates may print.
 * @throws UserError for a template that cannot be parsed, or cannot render a question and its answer.
 */
export function createChat({ template, names, file }: TokenizerSource, now: Date): Chat {
  if (template === undefined) {
    const render = () => {
      throw new UserError(`${file}: the model has no chat template, so it cannot be given messages with roles`)
    }
    return { hasTemplate: false, render, afterAnswer: '' }
  }
  const renderTemplate = compileTemplate(template.source, template.file, now)
  const render: Chat['render'] = (messages, { addGenerationPrompt }) =>
    renderTemplate({
      ...names,
      messages: messages.map(({ role, content }) => ({ role, content })),
      tools: null,
      documents: null,
      add_generation_prompt: addGenerationPrompt,
    })
  const example = [
    { role: 'user', content: 'Why?' },
    { role: 'assistant', content: MARKER },
  ]
  const rendered = render(example, { addGenerationPrompt: false })
  const [, afterAnswer = ''] = rendered.split(MARKER).slice(-2)
  return { hasTemplate: true, render, afterAnswer }
}
