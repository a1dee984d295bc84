/** @file The settings of `view` and `labels`. */
import { z } from 'zod'

const runs = z.string().min(1).default('./checkpoints').meta({ description: 'folder of runs, or one run' })

export const viewSchema = z.strictObject({
  runs,
  port: z.number().int().min(0).max(65535).optional().meta({
    description: 'to listen on; default 7373, or the next one that is free',
  }),
  host: z.string().min(1).default('127.0.0.1').meta({ description: 'to listen on; others need --allow_remote' }),
  allow_remote: z.boolean().default(false).meta({
    description: 'let other machines ask: whoever sees the link or the network can read and label',
  }),
  open: z.boolean().default(true).meta({ description: 'open the page in a browser, where there is a terminal' }),
  export: z.string().optional().meta({ description: 'write a copy that opens without a server here, and end' }),
})

export const LABEL_FORMATS = ['prm800k', 'trl'] as const

export const labelsExportSchema = z.strictObject({
  runs,
  format: z.enum(LABEL_FORMATS).default('prm800k').meta({
    description: "PRM800K's rows, or TRL's of stepwise supervision: prompt, completions, labels",
  }),
  output_path: z.string().min(1).meta({ description: 'file to write, JSON lines' }),
})

export const labelsStatsSchema = z.strictObject({
  runs,
  json: z.boolean().default(false).meta({ description: 'the figures as one JSON object' }),
})

export type ViewSettings = z.output<typeof viewSchema>
export type LabelsExportSettings = z.output<typeof labelsExportSchema>
export type LabelsStatsSettings = z.output<typeof labelsStatsSchema>
