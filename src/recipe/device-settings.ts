/** @file The setting that says where whole rows are computed. */
import { z } from 'zod'

export const devices = ['cpu', 'webgpu', 'cuda'] as const
export type DeviceName = (typeof devices)[number]

/** Default `cpu`; a training run that is resumed stays where it was. */
export const deviceField = z.enum(devices).optional().meta({
  description: 'of whole rows: training, scores, local judges (default cpu); sampling stays on the processor',
})
