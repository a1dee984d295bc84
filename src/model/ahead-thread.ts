/** @file The second thread of a machine: started by `openAhead`, imported by nothing. */
import { workerData } from 'node:worker_threads'
import { serveWorks } from '../base/second-thread.ts'
import { makeAhead } from './ahead.ts'

serveWorks(workerData, makeAhead)
