/** @file Files of JSON lines on a vendor's server, read as they come: results of batch jobs. */
import { parseJson } from '../../base/lines.ts'
import { ChatError } from '../chat.ts'
import { stoppedError } from '../stopped.ts'
import { connectionError, refuse, type Server } from './http.ts'

const MAX_LINE_BYTES = 10 << 20 // as of a direct reply

/**
 * The values of the lines of a file, but for lines that are not JSON. `path` follows the server's address.
 * @throws ChatError, transient where the file was not read to its end; for one with more lines than `maxLines`, too.
 */
export async function* resultLines(
  server: Server,
  path: string,
  { headers, maxLines, signal }: { headers: Readonly<Record<string, string>>; maxLines: number; signal: AbortSignal },
): AsyncGenerator<unknown> {
  const all = server.authorize()
  for (const [name, value] of Object.entries(headers)) all.set(name, value)
  // A redirect is an answer of its own: followed, it would carry the key to wherever it points.
  const response = await server
    .fetch(server.baseUrl + path, { headers: all, redirect: 'manual', signal })
    .catch((error) => {
      throw signal.aborted ? stoppedError(true) : connectionError(server, error)
    })
  if (!response.ok) await refuse(server, response)
  let count = 0
  for await (const line of linesOf(server, response, signal)) {
    if (++count > maxLines) throw unfit(server, `results have more than ${maxLines} lines`)
    const parsed = parseJson(line)
    if ('value' in parsed) yield parsed.value
  }
}

async function* linesOf(server: Server, response: Response, signal: AbortSignal): AsyncGenerator<Buffer> {
  let rest: Uint8Array[] = []
  let restBytes = 0
  for await (const chunk of chunksOf(server, response, signal)) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      yield Buffer.concat([...rest, chunk.subarray(from, end)])
      rest = []
      restBytes = 0
      from = end + 1
    }
    rest.push(chunk.subarray(from))
    restBytes += chunk.length - from
    if (restBytes > MAX_LINE_BYTES) throw unfit(server, 'a result is larger than 10 MB')
  }
  if (restBytes > 0) yield Buffer.concat(rest)
}

async function* chunksOf(server: Server, { body }: Response, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    if (body !== null) yield* body
  } catch (error) {
    throw signal.aborted ? stoppedError(true) : connectionError(server, error)
  }
}

function unfit(server: Server, problem: string): ChatError {
  return new ChatError(`${server.name}: ${problem}`, { kind: 'malformed-reply', isTransient: false, maybePaid: true })
}
