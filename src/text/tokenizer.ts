/** @file Text ↔ token ids, as the model was taught: its tokenizer and its chat template as one record of functions. */
import { type ChatMessage, createChat } from './chat.ts'
import { type Codec, openCodec } from './codec.ts'
import { parseTokenizerFile, type TokenizerFile } from './tokenizer-file.ts'
import { readTokenizerSource, type SpecialNames, type TokenizerSource } from './tokenizer-source.ts'

/**
 * The tokenizer of a model. A sequence is made of pieces that are encoded each for itself and joined, so that the
 * boundary between prompt, steps and completions lies where the pieces do, and no id depends on what follows it.
 */
export interface Tokenizer extends Codec {
  /** The token as the vocabulary spells it; '' for an id without one. */
  token(id: number): string
  /** One more than the highest id. A model may have more rows than that. */
  readonly vocabularySize: number
  readonly bosId: number | undefined
  /** Whether a text without a template begins with BOS. */
  readonly addsBos: boolean
  /** The tokens that end a completion, the tokenizer's own EOS first. */
  readonly eosIds: readonly number[]
  /** The token that the chat template puts after the content of an answer; without a template, EOS. */
  readonly endOfTurnId: number | undefined
  readonly hasChatTemplate: boolean
  /** @throws UserError where the model has no chat template, or the template refuses the messages. */
  renderChat(messages: readonly ChatMessage[], options: { readonly addGenerationPrompt: boolean }): string
  /**
   * The ids of the prompt that makes the model answer. Without a chat template: the contents, a line each.
   * @throws UserError where the template refuses the messages.
   */
  chatPrompt(messages: readonly ChatMessage[]): number[]
  /** The ids of a prompt that its maker has rendered: special tokens are recognised, BOS stands in front once. */
  rawPrompt(text: string): number[]
}

/**
 * Loads the tokenizer at `path`: a model folder, or a .gguf file. `now` is the date that a chat template may print.
 * @throws UserError where there is no tokenizer, InputError for files that are not what they should be.
 */
export function loadTokenizer(path: string, now = new Date()): Tokenizer {
  return createTokenizer(readTokenizerSource(path), now)
}

/** Makes a tokenizer of what was read about it. @throws UserError as `loadTokenizer`. */
export function createTokenizer(source: TokenizerSource, now: Date): Tokenizer {
  const file = withNamedTokens(parseTokenizerFile(source.json, source.file), source.names)
  const { controlIds, framed, tokens, ...codec } = openCodec(file, source.file)
  const chat = createChat(source, now)
  const bosId = file.ids.get(source.names.bos_token ?? '')
  const addsBos = bosId !== undefined && framed('a')[0] === bosId
  const eosId = file.ids.get(source.names.eos_token ?? '')
  const endOfTurnId = codec.encode(chat.afterAnswer).find((id) => controlIds.has(id))
  // Converters write one EOS into most GGUF files, also where a model ends its answers with another token.
  const endOfAnswer = source.file.endsWith('.gguf') ? endOfTurnId : undefined
  const endIds = new Set([eosId, ...source.eosIds, endOfAnswer].filter((id) => id !== undefined))
  const eosIds = [...endIds].filter((id) => tokens[id] !== undefined)
  return {
    ...codec,
    token: (id) => tokens[id] ?? '',
    vocabularySize: tokens.length,
    bosId,
    addsBos,
    eosIds,
    endOfTurnId: endOfTurnId ?? eosIds[0],
    hasChatTemplate: chat.hasTemplate,
    renderChat: chat.render,
    chatPrompt: (messages) => {
      if (chat.hasTemplate) return codec.encode(chat.render(messages, { addGenerationPrompt: true }))
      const ids = codec.encodeText(messages.map(({ content }) => content + '\n').join(''))
      return addsBos ? [bosId, ...ids] : ids
    },
    rawPrompt: (text) => {
      const ids = codec.encode(text)
      return addsBos && ids[0] !== bosId ? [bosId, ...ids] : ids
    },
  }
}

/** A token with a role is special and stands for itself, as in transformers, whatever tokenizer.json says of it. */
function withNamedTokens(file: TokenizerFile, names: SpecialNames): TokenizerFile {
  const named = new Set(Object.values(names))
  const others = file.addedTokens.filter(({ content }) => !named.has(content))
  const specials = [...named].flatMap((content) => {
    const id = file.ids.get(content ?? '')
    if (content === undefined || id === undefined) return []
    return { id, content, normalized: false, ...file.addedTokens.find((token) => token.id === id), special: true }
  })
  return { ...file, addedTokens: [...others, ...specials] }
}
