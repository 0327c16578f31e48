// The server's reasons and errors are English sentences. Here they are known by how they begin: what they mean in
// Japanese, and what to do in both languages. One that isn't known is shown as it is.

import { language } from "./texts.js";

/** What to do about a cause, by its name below. */
const ADVICE = {
  network: {
    en: "Nothing for now: it tries again by itself, 5 minutes apart at most. If it lasts: does this box reach the internet, port 443?",
    ja: "対応は不要です。最大 5 分間隔で自動的に再試行します。続く場合は、このマシンからインターネット（443 番ポート）に接続できるか確認してください。",
  },
  clock: {
    en: "Set this machine's clock: `timedatectl set-ntp true`. It goes on by itself after that.",
    ja: "このマシンの時計を合わせてください: `timedatectl set-ntp true`。その後は自動的に再開します。",
  },
  quota: {
    en: "Nothing for now: it sends less by itself until this eases. If it lasts, ask for a higher quota in the Google Cloud console.",
    ja: "対応は不要です。解消するまで送信量を自動的に減らします。続く場合は Google Cloud コンソールで割り当ての引き上げを申請してください。",
  },
  credentials: {
    en: "Look at the service account's key file (`BQ_CREDENTIALS_PATH`) and at this machine's clock; make a new key if the old one is gone.",
    ja: "サービスアカウントのキーファイル（`BQ_CREDENTIALS_PATH`）とこのマシンの時計を確認してください。キーが失効していれば新しく作成します。",
  },
  permission: {
    en: "Grant the service account `roles/bigquery.dataEditor` on the dataset, and `roles/bigquery.jobUser` on the project. It takes some minutes.",
    ja: "サービスアカウントに、データセットの `roles/bigquery.dataEditor` とプロジェクトの `roles/bigquery.jobUser` を付与してください。反映に数分かかります。",
  },
  table: {
    en: "Make the table in BigQuery (`bq-sync init-bigquery` makes the shipped ones), or correct project_id, dataset_id and destination. A new table takes some minutes.",
    ja: "BigQuery にテーブルを作成する（標準のものは `bq-sync init-bigquery`）か、project_id・dataset_id・destination を直してください。新しいテーブルは使えるまで数分かかります。",
  },
  columns: {
    en: "Run `bq-sync check`: it compares the configured columns with BigQuery's, and says what doesn't fit.",
    ja: "`bq-sync check` を実行してください。設定した列と BigQuery の列を比べ、合わないところを示します。",
  },
  key: {
    en: "Ask whoever looks after the dataset's encryption key.",
    ja: "データセットの暗号鍵の管理者に連絡してください。",
  },
  administrator: {
    en: "Ask whoever looks after the Google Cloud project.",
    ja: "Google Cloud プロジェクトの管理者に連絡してください。",
  },
  bytes: {
    en: "See with `bq-sync check` whether the table is partitioned. If the figure is all right, set `lookup_max_bytes` higher.",
    ja: "`bq-sync check` でテーブルがパーティション分割されているか確認してください。妥当な量であれば `lookup_max_bytes` を上げます。",
  },
  proxy: {
    en: "Set up the proxy that stands between this box and Google: it has to let HTTP/2 through to bigquerystorage.googleapis.com.",
    ja: "このマシンと Google の間のプロキシを設定してください。bigquerystorage.googleapis.com への HTTP/2 を通す必要があります。",
  },
  stream: {
    en: "Nothing: it finds out what arrived, and goes on with a new stream.",
    ja: "対応は不要です。届いた行を確認し、新しいストリームで続行します。",
  },
  unknown: {
    en: "Run `bq-sync check`, and look at the worker's log.",
    ja: "`bq-sync check` を実行し、ワーカーのログを確認してください。",
  },
  databaseDown: {
    en: "Does the database run, and listen where `BQ_SYNC_DATABASE_URL` says? bq-sync goes on by itself once it answers.",
    ja: "データベースは起動していますか。`BQ_SYNC_DATABASE_URL` の場所で応答していますか。応答すれば自動的に再開します。",
  },
  databaseRights: {
    en: "Compare user, password and rights: `bq-sync check` says what is missing, with the GRANT.",
    ja: "ユーザー、パスワード、権限を確認してください。`bq-sync check` が足りない権限と GRANT 文を示します。",
  },
  databaseFull: {
    en: "Make room on the database's disk.",
    ja: "データベースのディスクを空けてください。",
  },
  databaseBusy: {
    en: "Nothing for now: it tries again by itself. If it lasts: which transaction holds its locks for so long (`SHOW PROCESSLIST`)?",
    ja: "対応は不要です。自動的に再試行します。続く場合は、長くロックしているトランザクションを確認してください（`SHOW PROCESSLIST`）。",
  },
  refusedRow: {
    en: "Find the row by what the constraint or the trigger demands, and mend it; all goes on by itself.",
    ja: "制約またはトリガーの条件に合わない行を探して直してください。自動的に再開します。",
  },
  leftAside: {
    en: "Nothing for now: others go on, and it is tried again. If it is the row's own fault it becomes `failed`.",
    ja: "対応は不要です。他の行は送信され、あとで再試行します。行に原因があれば `failed` になります。",
  },
  migrate: {
    en: "Stop the worker, run `bq-sync migrate` as a user who may alter tables, and start it again.",
    ja: "ワーカーを止め、テーブルを変更できるユーザーで `bq-sync migrate` を実行してから、再び起動してください。",
  },
  worker: {
    en: "Start it (`systemctl start bq-sync-worker`, say). Its log says why it ended.",
    ja: "起動してください（例: `systemctl start bq-sync-worker`）。終了した理由はログにあります。",
  },
  failed: {
    en: "They are below. Mend the rows or the mapping, then retry them.",
    ja: "下に表示しています。行またはマッピングを直してから再試行してください。",
  },
  backlog: {
    en: "It may just be catching up: see below whether the number falls.",
    ja: "追いついている途中かもしれません。下で数が減っているか確認してください。",
  },
  clocks: {
    en: "Set the clock that is wrong: `timedatectl set-ntp true`.",
    ja: "狂っている方の時計を合わせてください: `timedatectl set-ntp true`。",
  },
  rowless: {
    en: "See why the row isn't there: its producer has to commit row and item in one transaction.",
    ja: "行がない理由を確認してください。行と項目は同じトランザクションでコミットする必要があります。",
  },
  unconfirmed: {
    en: "`bq-sync retention --dry-run` names more of them. docs/troubleshooting.md says how to send them again.",
    ja: "`bq-sync retention --dry-run` で対象を確認できます。再送信の方法は docs/troubleshooting.md にあります。",
  },
  retention: {
    en: "`bq-sync check` says more. Rows are carried meanwhile, and the database grows.",
    ja: "`bq-sync check` で詳細を確認してください。送信は続いていますが、データベースは大きくなります。",
  },
  different: {
    en: "`bq-sync verify` names the rows; with `--repair` it has those sent again that are missing.",
    ja: "`bq-sync verify` で対象の行を確認できます。`--repair` を付けると、欠けている行を再送信します。",
  },
  unchecked: {
    en: "`bq-sync verify` says more. Rows are carried meanwhile.",
    ja: "`bq-sync verify` で詳細を確認してください。送信は続いています。",
  },
  unconfigured: {
    en: "Add the table to `tables`, or correct table_name in `bq_sync_queue` and in the program that writes it.",
    ja: "`tables` にテーブルを追加するか、`bq_sync_queue` とそれを書き込むプログラムの table_name を直してください。",
  },
  zone: {
    en: "Compare `database_timezone` with the zone that the camera server writes in.",
    ja: "`database_timezone` と、カメラサーバーが書き込むタイムゾーンを比べてください。",
  },
};

/** How a cause begins, what it means in Japanese, what to do. The first that fits counts. */
const CAUSES = [
  [/^clock wrong/, "このマシンの時計が狂っています", "clock"],
  [/^Google's token server can't be reached/, "Google の認証サーバーに接続できません", "network"],
  [/^BigQuery can't be reached/, "BigQuery に接続できません", "network"],
  [/^BigQuery didn't answer in time/, "BigQuery が時間内に応答しませんでした", "network"],
  [/^BigQuery has an internal error/, "BigQuery の内部エラーです", "network"],
  [/^BigQuery ended the call/, "BigQuery が接続を終了しました", "network"],
  [/^the (call was cancelled|connection broke)/, "通信が途切れました", "network"],
  [/^the table is unavailable for now/, "BigQuery のテーブルが一時的に使えません", "network"],
  [/^the job (was stopped|took too long)/, "BigQuery のジョブが終わりませんでした", "network"],
  [/^the key service is in trouble/, "鍵管理サービスに障害があります", "network"],
  [/^(a quota of BigQuery is used up|too many (requests|jobs) at once|the query needs too much at once)/, "BigQuery の割り当てを使い切りました", "quota"],
  [/^BigQuery refuses the credentials/, "BigQuery が認証情報を拒否しました", "credentials"],
  [/^the service account or its key is gone/, "サービスアカウントまたはキーがありません", "credentials"],
  [/^Google refuses the service account/, "Google がサービスアカウントを拒否しました", "credentials"],
  [/^no Google credentials/, "Google の認証情報がありません", "credentials"],
  [/^the service account lacks a permission/, "サービスアカウントの権限が足りません", "permission"],
  [/^the table (or dataset )?doesn't exist/, "BigQuery のテーブルまたはデータセットがありません（作成直後の場合もあります）", "table"],
  [/^the table lacks a column/, "設定した列が BigQuery のテーブルにありません", "columns"],
  [/^BigQuery refuses the (request|query)/, "BigQuery がリクエストを拒否しました", "columns"],
  [/^BigQuery can't take/, "BigQuery が受け付けない行があります", "columns"],
  [/^the dataset's encryption key/, "データセットの暗号鍵を使えません", "key"],
  [/^the query would scan more than lookup_max_bytes/, "照会のスキャン量が lookup_max_bytes を超えます", "bytes"],
  [/^(the query costs more|the project has no billing|BigQuery has blocked this|a policy of the project|the answer is too large)/, "プロジェクトの設定により拒否されました", "administrator"],
  [/^(a proxy wants credentials|what answers at the endpoint isn't)/, "プロキシまたは接続先が正しくありません", "proxy"],
  [/^(the stream|what was to be made exists already)/, "書き込みストリームを作り直します", "stream"],
  [/^an error that bq-sync doesn't know/, "未知のエラーです", "unknown"],
  [/^the database('s disk is| is) full|^a table of the database is full/, "データベースのディスクがいっぱいです", "databaseFull"],
  [/^the (database )?user (may not|lacks)|^the database refuses user|^the database user lacks/, "データベースの権限または認証に問題があります", "databaseRights"],
  [/^the database doesn't exist/, "データベースがありません", "databaseRights"],
  [/^the database is read-only/, "データベースが読み取り専用です", "databaseDown"],
  [/^(a lock wasn't free|a deadlock|the database has no room for more locks|no connection to the database was free|the database has too many connections)/, "データベースが混み合っています", "databaseBusy"],
  [/^the database (at \S+ )?(can't be reached|is shutting down|closed the connection)/, "データベースに接続できません", "databaseDown"],
  [/^a (trigger|CHECK constraint .+) refuses a row/, "トリガーまたは CHECK 制約のため、行を送信済みにできません", "refusedRow"],
  [/^\d+ rows? (is|are) left aside for now/, "単独で失敗する行を一時的に後回しにしています", "leftAside"],
  [/^the connection to the database/, "データベースとの接続が切れました", "databaseDown"],
  [/^a (table|column) is missing in the database/, "データベースにテーブルまたは列がありません", "migrate"],
  [/^the database (answered with error|library failed)/, "データベースがエラーを返しました", "unknown"],
];

const ROWLESS = /item (\d+) names record (.+?), which isn't in the table/s;
const rowlessInJapanese = (cause) => {
  const [, item, record] = ROWLESS.exec(cause);
  return `項目 ${item} の行（レコード ${record}）がテーブルにありません（行は 10 分間待ちます）`;
};

const STATES = { waiting: "待機中", blocked: "停止", recovering: "復旧中", paused: "一時停止中", stopped: "停止" };

const UNITS = { days: "日", h: "時間", min: "分", s: "秒" };
const inJapanese = (duration) => duration.replace(/(days|h|min|s)$/, (unit) => UNITS[unit]);
const daysInJapanese = (days) =>
  days
    .replace(/([\d,]+) sent, ([\d,]+) there/g, "送信 $1、BigQuery $2")
    .replace(/, ([\d,]+) of them doubled/g, "、重複 $1")
    .replace(/no time/g, "日時なし");
const rowsInJapanese = (rows) => rows.replace(/^about /, "約 ").replace(/ rows?$/, " 行");

/** Whole sentences: their Japanese, and the advice; the advice of `cause` where the sentence quotes one. */
const SENTENCES = [
  [/^no worker is running for (.+): start `bq-sync worker`$/, ([, tables]) => `${tables} のワーカーが動いていません`, "worker"],
  [/^no worker took it for (.+): start `bq-sync worker`$/, ([, tables]) => `${tables} を担当するワーカーがありません`, "worker"],
  [/^(\S+) is blocked: (?<cause>.+)$/s, ([, table], cause) => `${table} は停止しています: ${cause}`, "cause"],
  [/^(.+ rows?) failed, more than (.+): see their errors/, ([, rows, most]) => `${rowsInJapanese(rows)}が失敗しています（上限 ${most}）`, "failed"],
  [/^(.+ rows?) pending, more than (.+)$/, ([, rows, most]) => `${rowsInJapanese(rows)}が送信待ちです（上限 ${most}）`, "backlog"],
  [
    /^(\S+): the oldest pending row is (.+) old \(limit: (.+?)\);.* (item \d+ names record .+)$/s,
    ([, table, age, limit, item]) => `${table}: 最も古い送信待ちの行は ${inJapanese(age)}前のものです（上限 ${inJapanese(limit)}）。${rowlessInJapanese(item)}`,
    "rowless",
  ],
  [
    /^(\S+): the oldest pending row is (.+) old \(limit: (.+?)\); (\w+): (?<cause>.+)$/s,
    ([, table, age, limit, state], cause) => `${table}: 最も古い送信待ちの行は ${inJapanese(age)}前のものです（上限 ${inJapanese(limit)}）。${STATES[state] ?? state}: ${cause}`,
    "cause",
  ],
  [/^(\S+): the oldest pending row is (.+) old \(limit: (.+)\)$/, ([, table, age, limit]) => `${table}: 最も古い送信待ちの行は ${inJapanese(age)}前のものです（上限 ${inJapanese(limit)}）`, "backlog"],
  [/^the clocks of this machine and the database are (.+) apart/, ([, apart]) => `このマシンとデータベースの時計が ${inJapanese(apart)}ずれています`, "clocks"],
  [/^(\S+): a pending row is (.+) in the future/, ([, table, ahead]) => `${table}: 送信待ちの行の日時が ${inJapanese(ahead)}先の未来です`, "zone"],
  [
    /^(\S+): ([\d,]+) old rows are marked as sent, but aren't found in BigQuery(?: \((ids? .+)\))?:/s,
    ([, table, rows, ids]) => `${table}: 送信済みの古い行 ${rows} 件が BigQuery に見つかりません${ids ? `（${ids}）` : ""}。これらは削除されません`,
    "unconfirmed",
  ],
  [/^(\S+): old rows aren't deleted: (?<cause>.+)$/s, ([, table], cause) => `${table}: 古い行を削除できません: ${cause}`, "retention"],
  [
    /^(\S+): BigQuery doesn't have the rows of (\d+) days? as they were sent(?: \((.+)\))?: run `bq-sync verify/s,
    ([, table, days, which]) => `${table}: ${days} 日分の行が BigQuery と一致しません${which ? `（${daysInJapanese(which)}）` : ""}`,
    "different",
  ],
  [/^(\S+): it isn't compared with BigQuery: (?<cause>.+)$/s, ([, table], cause) => `${table}: BigQuery と比較できません: ${cause}`, "unchecked"],
  [/^queue items wait for ever, since their table_name isn't configured: (.+): add the table/s, ([, names]) => `設定にないテーブルの項目がキューに残っています: ${names.replaceAll("about ", "約 ")}`, "unconfigured"],
  [/^bq-sync is disabled and sends nothing/, () => "bq-sync は無効になっており、何も送信しません。設定で `enabled: true`（または `BQ_SYNC_ENABLED=true`）にして再起動してください", null],
  [/^the database has no (.+): run `bq-sync migrate`$/, ([, what]) => `データベースに ${what} がありません`, "migrate"],
  [/^database_url isn't set/, () => "database_url が設定されていません。`BQ_SYNC_DATABASE_URL` を設定してください", null],
  [/^(\S+): its rows can't be counted: (?<cause>.+)$/s, ([, table], cause) => `${table}: 行を数えられません: ${cause}`, "cause"],
  [/^paused( meanwhile)?: (.+); resume them first$/, ([, , tables]) => `一時停止中です: ${tables}。先に再開してください`, null],
  [/^too many wrong tokens were tried: try again in (\d+) s$/, ([, seconds]) => `トークンの誤りが続いたため、${seconds} 秒後にもう一度お試しください`, null],
  [/^this token may only look/, () => "このトークンは閲覧専用です", null],
  [/^row not found/, () => "元の行がありません", null],
];

/** The server's sentence in the page's language (null: as it is), and what to do (null: it isn't known). */
export function explain(sentence) {
  for (const [form, japanese, advice] of SENTENCES) {
    const match = form.exec(sentence);
    if (match) {
      const cause = match.groups?.cause ? explainCause(match.groups.cause) : null;
      return {
        meaning: language === "ja" ? japanese(match, cause?.meaning ?? match.groups?.cause) : null,
        advice: advice === "cause" ? (cause?.advice ?? null) : (ADVICE[advice]?.[language] ?? null),
      };
    }
  }
  return explainCause(sentence);
}

function explainCause(cause) {
  const known = CAUSES.find(([form]) => form.test(cause));
  if (!known) return { meaning: null, advice: null };
  const [, japanese, advice] = known;
  return { meaning: language === "ja" ? japanese : null, advice: ADVICE[advice][language] };
}
