// Changing what is made: filled in, looked at once more, then done; never over somebody else's change.

import { change, get } from "./api.js";
import { $, h, setText } from "./dom.js";
import { t, timeOfDay } from "./words.js";

const NAME = "lineguard-name";

let etag = null;
let before = null; // the job that the form was filled from

export function renderJob(job) {
  setText($("product"), job.product || t("none"));
  setText($("lot"), job.lot ?? t("none"));
  setText($("who"), job.by === null ? t("never_changed") : t("changed_by", { by: job.by, at: timeOfDay(job.at) }));
}

function trouble(text) {
  setText($("job-trouble"), text);
}

function page(confirming) {
  $("job-form").hidden = confirming;
  $("job-confirm").hidden = !confirming;
}

async function fillForm() {
  const job = await get("job");
  [before, etag] = [job.body, job.etag];
  $("job-product").value = before.product;
  $("job-lot").value = before.lot ?? "";
  $("products").replaceChildren(...before.products.map((product) => h("option", { value: product })));
}

export async function openJob() {
  if ($("job-dialog").open) return;
  trouble("");
  page(false);
  $("job-by").value = localStorage.getItem(NAME) ?? "";
  $("job-dialog").showModal();
  try {
    await fillForm();
  } catch {
    trouble(t("no_answer"));
  }
  $("job-lot").select();
}

function entered() {
  return {
    product: $("job-product").value.trim(),
    lot: $("job-lot").value.trim() || null,
    by: $("job-by").value.trim(),
  };
}

$("job-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const job = entered();
  if (!before) return trouble(t("no_answer"));
  if (!job.by) {
    $("job-by").focus();
    return trouble(t("name_missing"));
  }
  if (job.product === before.product && job.lot === before.lot) return trouble(t("same_job"));
  trouble("");
  const row = (key, old, now) => h("tr", { class: old === now ? "" : "new" }, h("th", { scope: "row" }, t(key)),
    h("td", {}, old || t("none")), h("td", {}, now || t("none")));
  $("job-compare").replaceChildren(
    h("tr", {}, h("td"), h("th", { scope: "col" }, t("now_made")), h("th", { scope: "col" }, t("will_be_made"))),
    row("product", before.product, job.product), row("lot", before.lot ?? "", job.lot ?? ""));
  page(true);
  $("job-do").focus();
});

$("job-back").addEventListener("click", () => page(false));

$("job-do").addEventListener("click", async () => {
  const job = entered();
  $("job-do").disabled = true;
  const answer = await change("PUT", "job", job, { "If-Match": etag });
  $("job-do").disabled = false;
  if (answer.ok) {
    localStorage.setItem(NAME, job.by);
    renderJob(answer.body);
    $("job-dialog").close();
    return;
  }
  page(false);
  if (answer.status === 412) {
    await fillForm().catch(() => {});
    trouble(t("job_outdated"));
  } else trouble(answer.body.error);
});
