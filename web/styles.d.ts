/** @file Sheets are brought along by the build. */
declare module '*.css'
