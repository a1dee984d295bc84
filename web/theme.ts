/** @file Light and dark: what the system says, until somebody chooses. */
import { useEffect, useState } from 'preact/hooks'

export type Theme = 'light' | 'dark'

const KEY = 'stepdpo-theme'
const dark = matchMedia('(prefers-color-scheme: dark)')

export function applyTheme(): void {
  document.documentElement.dataset['theme'] = currentTheme()
  dispatchEvent(new Event('themechange'))
}

export function turnTheme(): void {
  localStorage.setItem(KEY, currentTheme() === 'dark' ? 'light' : 'dark')
  applyTheme()
}

export function useTheme(): Theme {
  const [theme, setTheme] = useState(currentTheme)
  useEffect(() => {
    const follow = () => setTheme(currentTheme())
    addEventListener('themechange', follow)
    return () => removeEventListener('themechange', follow)
  }, [])
  return theme
}

function currentTheme(): Theme {
  const chosen = localStorage.getItem(KEY)
  if (chosen === 'light' || chosen === 'dark') return chosen
  return dark.matches ? 'dark' : 'light'
}

dark.addEventListener('change', applyTheme)
