"""Why a part was rejected, in words that an operator understands, English and Chinese.

The one table of all reasons, those of the rules and those of the machine itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["TEMPLATES", "Language", "Reason"]

_log = logging.getLogger(__name__)

Language = Literal["en", "zh"]

TEMPLATES: Mapping[str, tuple[str, str]] = {
    # What the part shows.
    "mismatch": (
        "{rule}: read “{read}”, expected “{expected}”",
        "{rule}：读到“{read}”，应为“{expected}”",
    ),
    "no_match": (
        "{rule}: nothing of the expected form, read “{read}”",
        "{rule}：没有符合格式的文字，读到“{read}”",
    ),
    "no_text": ("{rule}: no print found", "{rule}：没有找到文字"),
    "bad_date": (
        "{rule}: “{read}” is not one clear date of the form {formats}",
        "{rule}：“{read}”不是格式为 {formats} 的唯一有效日期",
    ),
    "expired": ("{rule}: expired on {date}", "{rule}：已于 {date} 过期"),
    "date_early": ("{rule}: {date} is before {limit}", "{rule}：日期 {date} 早于 {limit}"),
    "date_late": ("{rule}: {date} is after {limit}", "{rule}：日期 {date} 晚于 {limit}"),
    "shelf_life": (
        "{rule}: {made} to {date} is {days} days, expected {expected}",
        "{rule}：{made} 至 {date} 为 {days} 天，应为 {expected} 天",
    ),
    "no_made": (
        "{rule}: no single clear production date, read “{read}”",
        "{rule}：没有唯一明确的生产日期，读到“{read}”",
    ),
    "count": (
        "{rule}: found {count}, expected {expected}",
        "{rule}：找到 {count} 个，应为 {expected} 个",
    ),
    "absent": ("{rule}: “{sought}” is not in its place", "{rule}：“{sought}”不在规定位置"),
    "defect": (
        "{rule}: {label}, {size}, score {score}",
        "{rule}：发现缺陷 {label}，尺寸 {size}，置信度 {score}",
    ),
    "forbidden": ("{rule}: “{other}” holds and must not", "{rule}：不应满足“{other}”，但已满足"),
    # What could not be evaluated.
    "unreadable": (
        "{rule}: “{read}” is not sure enough, score {score} is below {min_score}",
        "{rule}：“{read}”识别不够可靠，置信度 {score} 低于 {min_score}",
    ),
    "too_long": (
        "{rule}: a line of {length} characters, more than {limit}, cannot be judged",
        "{rule}：一行有 {length} 个字符，超过 {limit} 个，无法判定",
    ),
    "no_lot": ("{rule}: no lot is set for this job", "{rule}：当前任务没有设置批号"),
    "no_scale": (
        "{rule}: the camera has no mm_per_pixel, so millimetres are unknown",
        "{rule}：相机没有设置 mm_per_pixel，无法换算毫米",
    ),
    "too_many": (
        "{rule}: too much was found, what scores below {floor} is not known",
        "{rule}：发现的目标过多，置信度低于 {floor} 的目标情况不明",
    ),
    "no_result": ("{rule}: region “{region}” gave no result", "{rule}：区域“{region}”没有结果"),
    "cannot_evaluate": ("{rule}: cannot be evaluated: {error}", "{rule}：无法判定：{error}"),
    "no_rule": ("no rule to judge by", "没有可用的判定规则"),
    # What befell the machine.
    "late": ("no verdict within {deadline_ms} ms", "{deadline_ms} 毫秒内没有判定结果"),
    "overrun": (
        "too many parts are waiting, more than {queue}",
        "等待检测的产品过多，超过 {queue} 个",
    ),
    "no_frame": ("camera “{camera}” gave no picture", "相机“{camera}”没有图像"),
    "bad_frame": (
        "camera “{camera}” gave a picture that cannot be used",
        "相机“{camera}”的图像无法使用",
    ),
    "no_picture": (
        "camera “{camera}” took no picture within {wait_ms} ms of the trigger",
        "触发后 {wait_ms} 毫秒内相机“{camera}”没有拍到图像",
    ),
    "too_close": (
        "too close behind the part before it for a picture of its own",
        "与前一产品间隔过近，没有单独的图像",
    ),
    "engine_failed": ("the model failed on region “{region}”", "区域“{region}”的模型运行失败"),
    "stopped": ("stopped before the part was judged", "判定完成前已停机"),
    "challenge_due": (
        "locked: the challenge with golden parts is due",
        "已锁定：需要先用标准样件点检",
    ),
}
"""Reason code -> (English, Chinese). Both use the same placeholders."""


@dataclass(frozen=True)
class Reason:
    """One reason for a rejection.

    Attributes
    ----------
    rule
        Name of the rule; empty for what befell the machine.
    code
        Key of :data:`TEMPLATES`.
    values
        What its placeholders stand for, but for ``rule``.
    """

    rule: str
    code: str
    values: Mapping[str, str] = field(default_factory=dict)

    def text(self, language: Language = "en") -> str:
        """Say it. Never raises: a rejected part must not be held up by its own reason."""
        try:
            template = TEMPLATES[self.code][language == "zh"]
            return template.format_map({**self.values, "rule": self.rule})
        except (LookupError, ValueError, TypeError):
            _log.exception("reason %s cannot be put into words", self.code)
            return f"{self.rule} {self.code}".strip()
