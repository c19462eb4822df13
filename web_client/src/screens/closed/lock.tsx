/** The sign of a closed session; words always stand beside it. */
import "./closed.css";

export function Lock() {
  return (
    <svg class="lock" viewBox="0 0 24 24" aria-hidden="true">
      <path d="M6 10V8a6 6 0 0 1 12 0v2h1v11H5V10zm2.5 0h7V8a3.5 3.5 0 0 0-7 0zM12 13a1.8 1.8 0 0 0-1 3.3V18h2v-1.7A1.8 1.8 0 0 0 12 13" />
    </svg>
  );
}
