"""What every encoder is asked: a few pictures, sentences, sounds, made by code, that never change.

Gets: a modality. Gives: encoder inputs. Touches: nothing. Never: an encoder. A change here makes
the stored probes of every collection worthless, so a test holds their digest.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.schema import Modality

from .sounds import sounds

_SENTENCES = (
    "A red bicycle leans against a yellow wall.",
    "海边的日落",
    "In the early morning two fishermen push their small wooden boat across the wet sand, "
    "while behind them the lamps of the village go out one after the other.",
    "2024年冬天，三个孩子在结冰的湖面上学滑冰，旁边有一只黑色的小狗。",
)

_BACKGROUND = (
    "the invoice is due at the end of the month",
    "he tightened the last screw on the shelf",
    "a recipe for lentil soup with cumin",
    "the train to the airport was cancelled",
    "please reset my password",
    "an old map of the northern provinces",
    "she plays the cello in a small orchestra",
    "quarterly figures for the sales team",
    "frost on the kitchen window",
    "how to sharpen a chisel",
    "the goalkeeper saved the penalty",
    "a bundle of fresh asparagus",
    "minutes of the parents' meeting",
    "volcanic ash covered the runway",
    "three kittens asleep in a laundry basket",
    "the law was repealed in 1974",
    "a violinist tuning before the concert",
    "traffic jam on the ring road",
    "the dentist moved my appointment",
    "moss growing on a stone staircase",
    "proof of the fundamental theorem of algebra",
    "a lighthouse in heavy fog",
    "my grandmother's knitting needles",
    "bacteria under an electron microscope",
    "second-hand furniture for sale",
    "a hot air balloon above a vineyard",
    "the printer is out of toner",
    "wild horses crossing a shallow river",
    "terms and conditions apply",
    "a bowl of ramen with a soft egg",
    "the museum is closed on Mondays",
    "stars reflected in a mountain lake",
    "下周三的会议改到下午",
    "一碗热腾腾的牛肉面",
    "他把钥匙忘在办公室了",
    "老城墙下的茶馆",
    "手机充不上电怎么办",
    "雪山脚下的牦牛群",
    "小学数学应用题",
    "昨晚的球赛踢成了平局",
    "阳台上晾着几件衬衫",
    "租房合同需要双方签字",
    "一只白鹭站在水田里",
    "如何给自行车换轮胎",
    "春节火车票已经售完",
    "奶奶在院子里晒辣椒",
    "光合作用的基本原理",
    "图书馆里安静的角落",
    "请把音量调小一点",
    "古代青铜器的纹饰",
    "雨后路面上的积水",
    "医生建议他多休息",
    "摩天大楼的玻璃幕墙",
    "今年的苹果收成很好",
    "她在练习毛笔字",
    "快递放在门口了",
    "沙漠里的一条公路",
    "乐队正在后台调音",
    "蚂蚁搬运面包屑",
    "发动机发出奇怪的声音",
    "傍晚的菜市场",
    "明天气温会下降十度",
    "一本没有封面的旧词典",
    "宇航员修理太阳能电池板",
)


def probe_inputs(modality: Modality) -> list[Any]:
    """The built-in inputs of a modality, clearly different.

    Sentences; (96, 128, 3) uint8 pictures; sounds of 2 to 12 s, each of another rate. Empty for a
    modality that has none.
    """
    if modality == "text":
        return list(_SENTENCES)
    if modality == "audio":
        return list(sounds())
    return list(_pictures()) if modality == "image" else []


def background_sentences() -> list[str]:
    """64 everyday sentences that have nothing to do with each other, half English, half Chinese."""
    return list(_BACKGROUND)


@cache
def _pictures() -> tuple[NDArray[np.uint8], ...]:
    y, x = np.mgrid[:96, :128]
    return (_gradient(y, x), _checkerboard(y, x), _patches(y, x), _landscape(y, x))


def _gradient(y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.uint8]:
    """Red at the left, green at the bottom, hardly any blue."""
    return np.stack([250 - x * 3 // 2, 20 + y * 2, 30 + 0 * x], axis=2).astype(np.uint8)


def _checkerboard(y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.uint8]:
    """Black and white, but blue in the upper left corner."""
    board = np.where((y // 12 + x // 12) % 2, 245, 10)
    picture = np.stack([board] * 3, axis=2).astype(np.uint8)
    picture[:36, :48] = (25, 50, 230)
    return picture


def _patches(y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.uint8]:
    """Six fields, two rows of three, each of another colour."""
    upper = [(230, 30, 40), (250, 200, 30), (20, 110, 60)]
    lower = [(130, 70, 20), (240, 120, 170), (70, 70, 80)]
    colours = np.array(upper + lower, np.uint8)
    picture: NDArray[np.uint8] = colours[y // 48 * 3 + x // 43]
    return picture


def _landscape(y: NDArray[Any], x: NDArray[Any]) -> NDArray[np.uint8]:
    """A sun at the right in a blue sky, above a green hill that rises to the left."""
    picture = np.stack([90 + y, 150 + y, 255 - y], axis=2).astype(np.uint8)
    picture[y > 50 + x // 4] = (40, 130, 45)
    picture[(y - 24) ** 2 + (x - 100) ** 2 < 196] = (255, 225, 70)
    return picture
