/** @file Preference pairs, their two sides beside each other; a person drops one that teaches the wrong thing. */
import { useEffect, useState } from 'preact/hooks'
import type { PairItem, PairsReply } from '../../src/data/dashboard-labels.ts'
import type { Pair } from '../../src/data/pair-row.ts'
import { age, count, score } from '../format.ts'
import { messageOf, useData, useKeys } from '../hooks.ts'
import { MathText } from '../math.tsx'
import { Choice, Empty, Fact, Failure, Search, Shown } from '../parts.tsx'
import { changeQuery, linkTo, useAddress, writeQuery } from '../router.ts'
import { isStatic, sendJson } from '../source.ts'
import { letterOfRating, Mark } from '../steps.tsx'

const LIMIT = 20
const filterNames = ['q', 'strategy', 'dropped', 'contradicted', 'sort', 'order', 'offset']

export function PairsPage({ run }: { readonly run: string }) {
  const { query } = useAddress()
  const pair = query.get('pair')
  const filters = Object.fromEntries(filterNames.map((name) => [name, query.get(name)]))
  const q = pair === null ? filters['q'] : pair
  const path = `/api/runs/${encodeURIComponent(run)}/pairs`
  const pairs = useData<PairsReply>(`${path}${writeQuery({ ...filters, q, limit: LIMIT })}`)
  const [current, setCurrent] = useState(-1)
  const [changed, setChanged] = useState<ReadonlyMap<string, PairItem>>(new Map())
  const [error, setError] = useState<string | null>(null)
  const items = (pairs.data?.items ?? []).map((item) => changed.get(item.pair.id) ?? item)
  const review = async (item: PairItem) => {
    const action = item.dropped === null ? 'drop' : 'restore'
    try {
      const reply = await sendJson<PairItem>(`${path}/${encodeURIComponent(item.pair.id)}`, { action })
      setChanged((old) => new Map(old).set(reply.pair.id, reply))
      setError(null)
    } catch (failure) {
      setError(messageOf(failure))
    }
  }
  useKeys({
    j: () => setCurrent((old) => Math.min(items.length - 1, old + 1)),
    k: () => setCurrent((old) => Math.max(0, old - 1)),
    d: () => items[current] !== undefined && void review(items[current]),
  })
  useEffect(() => {
    document.querySelector(`[data-pair="${current}"]`)?.scrollIntoView({ block: 'nearest' })
  }, [current])
  return (
    <Shown of={pairs}>
      {(data) => (
        <>
          <Filters head={data} query={query} />
          {error !== null && <Failure text={error} />}
          {items.length === 0 && <NoPairs isFiltered={data.total > 0} />}
          {items.map((item, index) => (
            <PairCard
              key={item.pair.id}
              run={run}
              item={item}
              index={index}
              isCurrent={index === current}
              review={review}
            />
          ))}
          <Pager page={data} />
        </>
      )}
    </Shown>
  )
}

function NoPairs({ isFiltered }: { readonly isFiltered: boolean }) {
  if (isFiltered) return <Empty title="No pair fits these filters" />
  return (
    <Empty title="This run has no pairs">
      <code>stepdpo pairs</code> makes them of solutions, <code>stepdpo run</code> does it all.
    </Empty>
  )
}

const reviews = {
  '': 'all',
  'dropped=true': 'dropped',
  'dropped=false': 'not dropped',
  'contradicted=true': 'people disagree',
}
const sorts = { '': 'as in the file', 'margin.up': 'smallest margin', 'margin.down': 'largest margin' }

function Filters({ head, query }: { readonly head: PairsReply; readonly query: URLSearchParams }) {
  const given = (name: string) => query.get(name) ?? ''
  const change = (changes: Readonly<Record<string, string | null>>) =>
    changeQuery({ offset: null, pair: null, ...changes })
  const review = Object.keys(reviews).find((key) => key !== '' && given(key.split('=')[0] ?? '') === key.split('=')[1])
  const chooseReview = (choice: string) => {
    const [name = '', value = ''] = choice.split('=')
    change({ dropped: null, contradicted: null, ...(name !== '' && { [name]: value }) })
  }
  const chooseSort = (choice: string) => {
    const [sort = null, order = null] = choice === '' ? [] : choice.split('.')
    change({ sort, order })
  }
  return (
    <>
      <div class="title">
        <h1>Pairs</h1>
        <span class="muted" role="status">
          {count(head.found)} of {count(head.total)}
        </span>
      </div>
      <search class="filters">
        <Search label="Search pairs" value={given('q')} onChange={(q) => change({ q })} />
        <Choice label="Review" value={review ?? ''} options={reviews} onChange={chooseReview} />
        {head.strategies.length > 1 && (
          <Choice
            label="Strategy"
            value={given('strategy')}
            options={Object.fromEntries([['', 'all'], ...head.strategies.map((each) => [each, each])])}
            onChange={(strategy) => change({ strategy })}
          />
        )}
        <Choice
          label="Order"
          value={given('sort') === '' ? '' : `${given('sort')}.${given('order')}`}
          options={sorts}
          onChange={chooseSort}
        />
        {given('pair') !== '' && (
          <button type="button" onClick={() => change({})}>
            one pair ✕
          </button>
        )}
      </search>
    </>
  )
}

interface CardProps {
  readonly run: string
  readonly item: PairItem
  readonly index: number
  readonly isCurrent: boolean
  readonly review: (item: PairItem) => void
}

function PairCard({ run, item, index, isCurrent, review }: CardProps) {
  const { pair, dropped, isContradicted } = item
  return (
    <article
      class={`pair ${dropped === null ? '' : 'dropped'} ${isCurrent ? 'current' : ''}`}
      data-pair={index}
      aria-label={`Pair ${pair.id.slice(0, 8)}`}
    >
      <div class="pair-head">
        <p>
          <MathText>{promptText(pair)}</MathText>
        </p>
        <span class="n">margin {score(item.margin)}</span>
        {isContradicted && <span class="mark failed">! people disagree</span>}
        <button type="button" onClick={() => review(item)} disabled={isStatic}>
          {dropped === null ? 'Drop' : 'Restore'}
        </button>
      </div>
      {dropped !== null && (
        <p class="small">
          Dropped by {dropped.who} {age(dropped.when, new Date())} ago: training leaves it out.
        </p>
      )}
      {pair.prefix !== '' && (
        <details class="prefix">
          <summary>Both begin with {pair.step === 1 ? 'the same step' : `the same ${count(pair.step)} steps`}</summary>
          <p>
            <MathText>{pair.prefix.trim()}</MathText>
          </p>
        </details>
      )}
      <div class="sides">
        <Side run={run} item={item} side="chosen" />
        <Side run={run} item={item} side="rejected" />
      </div>
      <Provenance pair={pair} />
    </article>
  )
}

function promptText({ prompt }: Pair): string {
  return typeof prompt === 'string' ? prompt : prompt.map(({ role, content }) => `${role}: ${content}`).join('\n')
}

interface SideProps {
  readonly run: string
  readonly item: PairItem
  readonly side: 'chosen' | 'rejected'
}

function Side({ run, item: { pair, labels, traces }, side }: SideProps) {
  const trace = traces[side]
  const rating = labels[side]
  return (
    <section class={`side ${side === 'chosen' ? 'good' : 'wrong'}`}>
      <h3>
        <i aria-hidden="true">{side === 'chosen' ? '✓' : '✕'}</i> {side}
        <span class="n muted">{score(side === 'chosen' ? pair.chosen_score : pair.rejected_score)}</span>
        {rating !== null && <Mark letter={letterOfRating(rating)} by="person" />}
        {trace !== null && <a href={linkTo(['run', run, 'traces', trace])}>trace</a>}
      </h3>
      <p>
        <MathText>{pair[side].trim()}</MathText>
      </p>
    </section>
  )
}

function Provenance({ pair: { strategy, provenance, id, answer } }: { readonly pair: Pair }) {
  return (
    <details class="provenance">
      <summary>
        {strategy}, found by {provenance.located_by ?? 'answers'}
        {provenance.why !== '' && <>: {provenance.why}</>}
      </summary>
      <dl class="pairs-of">
        <Fact name="Id">{id}</Fact>
        <Fact name="Judge">{provenance.judge ?? 'none'}</Fact>
        <Fact name="True answer">{answer ?? 'not known'}</Fact>
        <Fact name="Chosen from">{`${provenance.chosen.from}, ${provenance.chosen.maker}`}</Fact>
        <Fact name="Rejected from">{`${provenance.rejected.from}, ${provenance.rejected.maker}`}</Fact>
      </dl>
    </details>
  )
}

function Pager({ page: { offset, found } }: { readonly page: PairsReply }) {
  if (found <= LIMIT) return null
  return (
    <nav class="pager" aria-label="Pages of the list">
      <button type="button" disabled={offset === 0} onClick={() => turnTo(Math.max(0, offset - LIMIT))}>
        ← Before
      </button>
      <span class="n">
        {count(offset + 1)} – {count(Math.min(found, offset + LIMIT))} of {count(found)}
      </span>
      <button type="button" disabled={offset + LIMIT >= found} onClick={() => turnTo(offset + LIMIT)}>
        Next →
      </button>
    </nav>
  )
}

function turnTo(offset: number): void {
  changeQuery({ offset: offset === 0 ? null : offset })
  scrollTo(0, 0)
}
