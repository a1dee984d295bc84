/** @file What a template is made of once it is parsed. */
import type { Value } from './values.ts'

/** Operators of two operands, except those that compare. */
export type BinaryOperator = '+' | '-' | '*' | '/' | '//' | '%' | '**'
export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'not in'

export interface CallArguments {
  readonly positional: readonly Expression[]
  readonly keywords: readonly (readonly [string, Expression])[]
  /** `*rest` and `**keywordRest`. */
  readonly rest?: Expression
  readonly keywordRest?: Expression
}

interface Listed<T extends string> {
  readonly type: T
  readonly items: readonly Expression[]
}
interface Applied<T extends string> {
  readonly type: T
  readonly operand: Expression
  readonly name: string
  readonly args: CallArguments
}
interface Logical<T extends string> {
  readonly type: T
  readonly left: Expression
  readonly right: Expression
}

export type Expression =
  | { readonly type: 'constant'; readonly value: Value }
  | { readonly type: 'name'; readonly name: string }
  | Listed<'list'>
  | Listed<'tuple'>
  | { readonly type: 'dict'; readonly entries: readonly (readonly [Expression, Expression])[] }
  | { readonly type: 'attribute'; readonly object: Expression; readonly name: string }
  | { readonly type: 'item'; readonly object: Expression; readonly key: Expression }
  | { readonly type: 'slice'; readonly object: Expression; readonly bounds: readonly (Expression | undefined)[] }
  | { readonly type: 'call'; readonly callee: Expression; readonly args: CallArguments }
  | Applied<'filter'>
  | Applied<'test'>
  | { readonly type: 'not'; readonly operand: Expression }
  | { readonly type: 'sign'; readonly sign: '+' | '-'; readonly operand: Expression }
  | {
      readonly type: 'binary'
      readonly operator: BinaryOperator
      readonly left: Expression
      readonly right: Expression
    }
  | Logical<'and'>
  | Logical<'or'>
  | { readonly type: 'concat'; readonly items: readonly Expression[] }
  | {
      readonly type: 'compare'
      readonly first: Expression
      readonly rest: readonly (readonly [Comparison, Expression])[]
    }
  | {
      readonly type: 'conditional'
      readonly condition: Expression
      readonly value: Expression
      readonly otherwise?: Expression
    }

export type Target =
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'tuple'; readonly items: readonly Target[] }
  | { readonly type: 'member'; readonly object: string; readonly name: string }

export interface Parameter {
  readonly name: string
  readonly fallback?: Expression
}

/** A macro, or what a call block hands to one. */
export interface Signature {
  readonly name: string
  readonly parameters: readonly Parameter[]
  readonly body: Block
  /** All names in the body: a macro takes `caller`, `varargs` and `kwargs` only where it names them. */
  readonly names: ReadonlySet<string>
}

export type Block = readonly Statement[]

export type Statement =
  | { readonly type: 'data'; readonly text: string }
  | { readonly type: 'output'; readonly value: Expression }
  | {
      readonly type: 'if'
      readonly branches: readonly { readonly condition: Expression; readonly body: Block }[]
      readonly otherwise: Block
    }
  | {
      readonly type: 'for'
      readonly target: Target
      readonly iterable: Expression
      readonly condition?: Expression
      readonly body: Block
      readonly otherwise: Block
    }
  | { readonly type: 'set'; readonly target: Target; readonly value: Expression }
  | { readonly type: 'set-block'; readonly target: Target; readonly filters: Expression; readonly body: Block }
  | { readonly type: 'macro'; readonly signature: Signature }
  | { readonly type: 'call'; readonly call: Expression & { type: 'call' }; readonly caller: Signature }
  | { readonly type: 'generation'; readonly body: Block }
  | { readonly type: 'with'; readonly bindings: readonly (readonly [Target, Expression])[]; readonly body: Block }
  | { readonly type: 'break' }
  | { readonly type: 'continue' }

/** In a set block with filters, the text that they work on. No template can write this name. */
export const BLOCK_TEXT = ' block'
