// What the page says, in English and Japanese. What the server says is translated in reasons.js.

const LANGUAGES = ["en", "ja"];

export const language = chosenLanguage();

function chosenLanguage() {
  const wanted = [kept("language"), ...navigator.languages.map((name) => name.slice(0, 2))];
  return wanted.find((name) => LANGUAGES.includes(name)) ?? "en";
}

/** What numbers and times are written by: the browser's own variant of the language, such as en-GB. */
export const locale = navigator.languages.find((name) => name.slice(0, 2) === language) ?? language;

/** A choice of this browser's user; null where there is none, or nothing may be kept. */
export function kept(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function keep(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Then it holds until the page is loaded again.
  }
}

const rows = (number) => (number === "1" ? "1 row" : `${number} rows`);

const en = {
  language: "Language",
  theme: "Colours",
  themeAuto: "Auto",
  themeLight: "Light",
  themeDark: "Dark",
  logout: "Log out",

  loginTitle: "Log in",
  loginWhy: "This bq-sync wants a token: the value of BQ_SYNC_API_TOKEN, or of BQ_SYNC_API_READ_TOKEN to look only.",
  token: "Token",
  loginButton: "Log in",
  loginWrong: "That isn't a token of this bq-sync.",

  loading: "Asking…",
  updated: (time) => `Updated ${time}`,
  noAnswerSince: (time) => `No answer since ${time}. What you see is from then.`,
  noAnswer: "No answer. Does “bq-sync api” run?",
  databaseSilent: (time) => `No figures since ${time}. What you see is from then.`,

  levels: { healthy: "Healthy", degraded: "Degraded", unhealthy: "Unhealthy", unknown: "Not known" },
  summaries: {
    healthy: "All is well: rows are being carried, and nothing needs you.",
    degraded: "Not all is as it should be:",
    unhealthy: "Somebody has to act:",
    unknown: "bq-sync doesn't answer, so nobody can say how it is.",
  },
  healthyPaused: "Nothing is wrong, but not everything is being sent:",
  pausedTables: (tables) => `${tables}: paused by an operator. Nothing is sent from there until it is resumed.`,
  original: "In English",

  waiting: "Waiting",
  oldest: "Oldest waiting",
  inTheFuture: (duration) => `${duration} ahead`,
  sent: "Sent so far",
  failedCount: "Failed",
  lastHour: "Sent in the last hour",
  lastSync: "Last sent",
  never: "never",
  none: "–",
  about: (number) => `about ${number}`,

  rowsPerMinute: "Rows per minute",
  mostPerMinute: (most) => `most ${most}`,
  anHourAgo: "an hour ago",
  now: "now",
  barTitle: (time, number) => `${time}: ${rows(number)}`,
  chartSpoken: (sum, most, last) => `Rows per minute in the last hour: ${sum} in all, ${most} at most, ${last} in this minute.`,
  chartUnknown: "Rows per minute: not known.",

  firstSteps: "First steps",
  steps: {
    database: ["Say where the database is: ", "BQ_SYNC_DATABASE_URL=mysql+pymysql://…", ", and restart bq-sync."],
    migrate: ["Let it make its own tables: ", "bq-sync migrate", "."],
    check: ["Look at everything that could be wrong, each with the fix: ", "bq-sync check", "."],
    enable: ["Switch it on: ", "enabled: true", " in the configuration (or BQ_SYNC_ENABLED=true), and restart it."],
  },
  stepDone: "done",

  tables: "Tables",
  states: {
    running: "Running",
    waiting: "Waiting",
    blocked: "Blocked",
    recovering: "Recovering",
    stopped: "Stopped",
    paused: "Paused",
    pausing: "Pausing…",
    resuming: "Resuming…",
    unprepared: "Not prepared",
    "no worker": "No worker",
  },
  pausedNoWorkerState: "Paused, no worker",
  pausedNoWorker: "Paused. No worker is running for this table either.",
  noWorkerAdvice: "No worker is running for this table, so nothing is sent. Start `bq-sync worker` (or look why it ended: its log says so).",
  recoveringAdvice: "It asks BigQuery what became of the last batches, and sends nothing before it knows.",
  rowless: (items, id, record) =>
    `Waiting for rows that aren't there: ${items === "1" ? "1 item" : `${items} items`}, the first is item ${id} for record ${record}. Each waits 10 minutes for its row.`,
  stateAdvice: {
    waiting: "It tries again by itself.",
    blocked: "It tries again by itself every 5 minutes, once this is mended.",
    unprepared: "Run `bq-sync check`: it says what is missing, and the fix.",
  },
  lastError: (time) => `Last error, ${time}`,
  lastErrorOver: (time) => `Last error, ${time} · over, rows were sent since`,
  allThere: (time, from, until) => `All there: compared with BigQuery, ${time} (${from} to ${until})`,
  notAllThere: (time, days) => `Compared with BigQuery, ${time}: ${days === "1" ? "1 day" : `${days} days`} of other counts`,

  readOnly: "You are logged in with a token that may only look: nothing can be changed here.",
  flush: "Send now",
  flushAll: "Send all now",
  flushing: "Sending…",
  flushed: (number) => (number === "0" ? "Done: nothing was waiting." : `Done: ${rows(number)} sent.`),
  pause: "Pause",
  pauseAll: "Pause all",
  pausing: "Pausing…",
  paused: "Paused. Nothing is sent until you resume.",
  resume: "Resume",
  resumeAll: "Resume all",
  resuming: "Resuming…",
  resumed: "Resumed.",
  asked: "Asked for, and kept: its worker hasn't said yet that it did so.",
  stillRunning: (seconds) => `Still running (${seconds}). You may leave this page: it goes on.`,
  withdrawn: (tables) => `No worker took it for ${tables}, so it was withdrawn.`,
  pausedMeanwhile: (tables) => `Paused meanwhile: ${tables}. Resume first.`,
  unanswered: "No answer: it may be done or not. Look at the figures before you try again.",

  retention: "Delete old rows…",
  retentionLooking: "Looking what would go…",
  retentionTitle: "Delete old rows?",
  retentionAsk: "Rows that BigQuery has and that are older than retention_days are deleted from this database. This can't be undone here.",
  retentionWould: (table, number) => `${table}: ${rows(number)} would be deleted`,
  retentionDid: (table, number) => `${table}: ${rows(number)} deleted`,
  retentionStay: (number, why) => `${number} stay: ${why}`,
  retentionNothing: "There are no old rows to delete.",
  retentionYes: "Delete them",
  retentionRunning: "Deleting…",
  refusals: {
    notInBigQuery: "BigQuery doesn't have them",
    notInLedger: "no completed batch holds them",
    waits: "they wait to be sent",
    failed: "they failed",
    notSynced: "they weren't sent yet",
    history: "they are history that was left out",
    noAge: "they have no age",
    foreignKey: "another table's rows need them",
    trigger: "a trigger forbids it",
  },

  failedRows: "Failed rows",
  failedNone: "None: BigQuery took every row.",
  failedHint: "BigQuery can't take these rows; everything else goes on. Mend the row or the mapping, then retry.",
  failedFilter: "Of table",
  allTables: "All tables",
  when: "When",
  table: "Table",
  record: "Record",
  error: "Error",
  actions: "Actions",
  more: "More",
  retry: "Retry",
  retryRow: (table, record) => `Retry ${table} ${record}`,
  giveUp: "Give up",
  giveUpRow: (table, record) => `Give up ${table} ${record}`,
  retryAll: "Retry all",
  giveUpAll: "Give up all",
  retried: (number) => `${rows(number)} will be tried again.`,
  givenUp: (number) => `${rows(number)} given up.`,
  working: "Working…",
  giveUpTitle: "Give up?",
  giveUpAsk: (table, record) => `${table} ${record} will never be sent to BigQuery. The row itself stays in the database.`,
  giveUpAllAsk: (number, where) => `${rows(number)} of ${where} will never be sent to BigQuery. The rows themselves stay in the database.`,
  retryAllTitle: "Retry all?",
  retryAllAsk: (number, where) => `${rows(number)} of ${where} will be tried again. Those that weren't mended will fail again.`,
  ofAllTables: "all tables",
  no: "Cancel",
};

const ja = {
  language: "言語",
  theme: "配色",
  themeAuto: "自動",
  themeLight: "ライト",
  themeDark: "ダーク",
  logout: "ログアウト",

  loginTitle: "ログイン",
  loginWhy: "トークンが必要です。BQ_SYNC_API_TOKEN の値、閲覧だけなら BQ_SYNC_API_READ_TOKEN の値を入力してください。",
  token: "トークン",
  loginButton: "ログイン",
  loginWrong: "トークンが正しくありません。",

  loading: "問い合わせ中…",
  updated: (time) => `${time} 更新`,
  noAnswerSince: (time) => `${time} から応答がありません。表示はその時点のものです。`,
  noAnswer: "応答がありません。bq-sync api は動いていますか。",
  databaseSilent: (time) => `${time} から数値が取得できません。表示はその時点のものです。`,

  levels: { healthy: "正常", degraded: "注意", unhealthy: "異常", unknown: "不明" },
  summaries: {
    healthy: "問題ありません。行は送信されており、対応は不要です。",
    degraded: "次の点を確認してください。",
    unhealthy: "対応が必要です。",
    unknown: "bq-sync が応答しないため、状態がわかりません。",
  },
  healthyPaused: "異常はありませんが、一部は送信されていません。",
  pausedTables: (tables) => `${tables}: 一時停止中です。再開するまで送信されません。`,
  original: "原文",

  waiting: "送信待ち",
  oldest: "最古の送信待ち",
  inTheFuture: (duration) => `${duration} 未来`,
  sent: "送信済み累計",
  failedCount: "失敗",
  lastHour: "直近 1 時間の送信",
  lastSync: "最後の送信",
  never: "なし",
  none: "–",
  about: (number) => `約 ${number}`,

  rowsPerMinute: "1 分あたりの行数",
  mostPerMinute: (most) => `最大 ${most}`,
  anHourAgo: "1 時間前",
  now: "現在",
  barTitle: (time, number) => `${time}: ${number} 行`,
  chartSpoken: (sum, most, last) => `直近 1 時間の 1 分あたりの行数: 合計 ${sum}、最大 ${most}、この 1 分は ${last}。`,
  chartUnknown: "1 分あたりの行数: 不明。",

  firstSteps: "はじめに",
  steps: {
    database: ["データベースの場所を設定し、再起動します: ", "BQ_SYNC_DATABASE_URL=mysql+pymysql://…", ""],
    migrate: ["bq-sync のテーブルを作成します: ", "bq-sync migrate", ""],
    check: ["問題がないか確認します（対処方法も表示されます）: ", "bq-sync check", ""],
    enable: ["設定で有効にし、再起動します: ", "enabled: true", "（または BQ_SYNC_ENABLED=true）"],
  },
  stepDone: "完了",

  tables: "テーブル",
  states: {
    running: "送信中",
    waiting: "待機中",
    blocked: "停止（要対応）",
    recovering: "復旧中",
    stopped: "停止",
    paused: "一時停止中",
    pausing: "一時停止しています…",
    resuming: "再開しています…",
    unprepared: "準備未完了",
    "no worker": "ワーカーなし",
  },
  pausedNoWorkerState: "一時停止中（ワーカーなし）",
  pausedNoWorker: "一時停止中です。このテーブルのワーカーも動いていません。",
  noWorkerAdvice: "このテーブルのワーカーが動いていないため、何も送信されません。`bq-sync worker` を起動してください（終了した理由はログにあります）。",
  recoveringAdvice: "直前のバッチの結果を BigQuery に確認しています。確認できるまで送信しません。",
  rowless: (items, id, record) =>
    `元の行がまだない項目が ${items} 件あります（最初: 項目 ${id}、レコード ${record}）。それぞれ 10 分間、行を待ちます。`,
  stateAdvice: {
    waiting: "自動的に再試行します。",
    blocked: "原因を取り除けば、5 分ごとの再試行で自動的に再開します。",
    unprepared: "`bq-sync check` を実行すると、足りないものと対処方法が表示されます。",
  },
  lastError: (time) => `最後のエラー ${time}`,
  lastErrorOver: (time) => `最後のエラー ${time}（解消済み。その後に送信されています）`,
  allThere: (time, from, until) => `BigQuery と一致: ${time} に比較（${from}～${until}）`,
  notAllThere: (time, days) => `BigQuery と比較 ${time}: ${days} 日分の件数が一致しません`,

  readOnly: "閲覧専用のトークンでログインしています。ここでは変更できません。",
  flush: "今すぐ送信",
  flushAll: "すべて今すぐ送信",
  flushing: "送信しています…",
  flushed: (number) => (number === "0" ? "完了: 送信待ちの行はありませんでした。" : `完了: ${number} 行を送信しました。`),
  pause: "一時停止",
  pauseAll: "すべて一時停止",
  pausing: "一時停止しています…",
  paused: "一時停止しました。再開するまで送信されません。",
  resume: "再開",
  resumeAll: "すべて再開",
  resuming: "再開しています…",
  resumed: "再開しました。",
  asked: "指示は保存されました。ワーカーからの確認はまだありません。",
  stillRunning: (seconds) => `実行中です（${seconds}）。このページを閉じても続きます。`,
  withdrawn: (tables) => `${tables} を担当するワーカーがないため、取り消されました。`,
  pausedMeanwhile: (tables) => `その間に一時停止されました: ${tables}。先に再開してください。`,
  unanswered: "応答がなく、実行されたかどうかわかりません。もう一度試す前に数値を確認してください。",

  retention: "古い行を削除…",
  retentionLooking: "削除対象を調べています…",
  retentionTitle: "古い行を削除しますか",
  retentionAsk: "BigQuery にあり、retention_days より古い行をこのデータベースから削除します。ここでは元に戻せません。",
  retentionWould: (table, number) => `${table}: ${number} 行が削除されます`,
  retentionDid: (table, number) => `${table}: ${number} 行を削除しました`,
  retentionStay: (number, why) => `${number} 行は残ります: ${why}`,
  retentionNothing: "削除する古い行はありません。",
  retentionYes: "削除する",
  retentionRunning: "削除しています…",
  refusals: {
    notInBigQuery: "BigQuery にありません",
    notInLedger: "完了したバッチに含まれていません",
    waits: "送信待ちです",
    failed: "送信に失敗しています",
    notSynced: "まだ送信されていません",
    history: "送信対象外の過去の行です",
    noAge: "日時がありません",
    foreignKey: "ほかのテーブルから参照されています",
    trigger: "トリガーが禁止しています",
  },

  failedRows: "失敗した行",
  failedNone: "ありません。すべての行が BigQuery に受け付けられています。",
  failedHint: "BigQuery が受け付けない行です。ほかの行の送信は続いています。行またはマッピングを直してから再試行してください。",
  failedFilter: "テーブル",
  allTables: "すべてのテーブル",
  when: "日時",
  table: "テーブル",
  record: "レコード",
  error: "エラー",
  actions: "操作",
  more: "さらに表示",
  retry: "再試行",
  retryRow: (table, record) => `${table} ${record} を再試行`,
  giveUp: "あきらめる",
  giveUpRow: (table, record) => `${table} ${record} をあきらめる`,
  retryAll: "すべて再試行",
  giveUpAll: "すべてあきらめる",
  retried: (number) => `${number} 行を再試行します。`,
  givenUp: (number) => `${number} 行をあきらめました。`,
  working: "処理しています…",
  giveUpTitle: "あきらめますか",
  giveUpAsk: (table, record) => `${table} ${record} は今後 BigQuery に送信されません。行そのものはデータベースに残ります。`,
  giveUpAllAsk: (number, where) => `${where}の ${number} 行は今後 BigQuery に送信されません。行そのものはデータベースに残ります。`,
  retryAllTitle: "すべて再試行しますか",
  retryAllAsk: (number, where) => `${where}の ${number} 行を再試行します。直していない行は再び失敗します。`,
  ofAllTables: "すべてのテーブル",
  no: "キャンセル",
};

export const texts = { en, ja };

export const text = texts[language];
